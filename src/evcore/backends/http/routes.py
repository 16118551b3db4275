"""The route table: what there is, what it takes and what it gives. `openapi` and `app` are made from it."""

from __future__ import annotations

from evcore.backends.http import devices, models, orders, system
from evcore.backends.http.call import CSV, JSON, Route

TEXT = "text/plain"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/chargers", devices.list_chargers, {200: models.CHARGERS}, query=models.PageQuery),
    Route("GET", "/v1/chargers/{id}", devices.get_charger, {200: models.CHARGER_DETAIL}, problems=(404,)),
    Route(
        "POST",
        "/v1/chargers/{id}/commands",
        devices.command_charger,
        {200: models.ANSWER},
        problems=(404, 409, 422, 502, 504),
        body=models.CommandBody,
        idempotency="optional",
    ),
    Route("GET", "/v1/meters", devices.list_meters, {200: models.METERS}),
    Route(
        "GET",
        "/v1/meters/{id}/energy",
        devices.get_meter_energy,
        {200: models.SAMPLES},
        problems=(404,),
        query=models.EnergyQuery,
        media=(JSON, CSV),
    ),
    Route("GET", "/v1/vehicles", devices.list_vehicles, {200: models.VEHICLES}),
    Route("GET", "/v1/sessions", orders.list_sessions, {200: models.SESSIONS}, query=models.SessionQuery),
    Route("GET", "/v1/sessions/{id}", orders.get_session, {200: models.SESSION}, problems=(404,)),
    Route(
        "GET",
        "/v1/sessions/{id}/samples",
        orders.get_session_samples,
        {200: models.SAMPLES},
        problems=(404,),
        query=models.FormatQuery,
        media=(JSON, CSV),
    ),
    Route("GET", "/v1/tokens", orders.list_tokens, {200: models.TOKENS}),
    Route(
        "PUT",
        "/v1/tokens/{id}",
        orders.put_token,
        {200: models.TOKEN, 201: models.TOKEN},
        problems=(503,),
        body=models.TokenBody,
    ),
    Route("DELETE", "/v1/tokens/{id}", orders.delete_token, {204: None}, problems=(404, 503)),
    Route("GET", "/v1/payments", orders.list_payments, {200: models.PAYMENTS}, query=models.PageQuery),
    Route(
        "POST",
        "/v1/payments",
        orders.create_payment,
        {201: models.PAYMENT},
        problems=(402, 409, 422, 502, 503),
        body=models.PaymentBody,
        idempotency="required",
    ),
    Route("GET", "/v1/payments/{id}", orders.get_payment, {200: models.PAYMENT}, problems=(404,)),
    Route(
        "POST",
        "/v1/psp/{name}/webhook",
        orders.receive_webhook,
        {200: models.WebhookResult},
        problems=(403, 404, 413, 422, 503),
        access="signature",
    ),
    Route("POST", "/v1/login", system.login, {204: None}, problems=(401,), body=models.LoginBody, access="open"),
    Route("POST", "/v1/logout", system.logout, {204: None}, access="open"),
    Route("GET", "/healthz", system.healthz, {200: models.Alive}, access="open"),
    Route("GET", "/readyz", system.readyz, {200: models.Ready}, problems=(503,), access="open"),
    Route("GET", "/metrics", system.metrics, {200: str}, media=(TEXT,)),
    Route("GET", "/openapi.json", system.openapi, {200: dict}, access="open"),
)
