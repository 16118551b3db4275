"""Stations, cars, meters and a payment provider to test and demonstrate against."""
