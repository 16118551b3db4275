"""Make the README's picture: run the demo, look at its dashboard in a headless Chromium, keep what it shows.

usage: python docs/screenshot.py docs/dashboard.png
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from browser import chromium

CHARGING = "[...document.querySelectorAll('.evse .big')].filter((n) => n.textContent.includes('kW')).length >= 2"


async def main(target: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("the picture needs Chromium. Install with: sudo apt-get install -y chromium")
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evcore", "demo", "--for", "120", stdout=asyncio.subprocess.PIPE
    )
    try:
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/?", (await demo.stdout.readline()).decode())):
            pass
        with tempfile.TemporaryDirectory() as folder:
            async with chromium(browser, Path(folder, "profile")) as page:
                await page.open(found[0], width=1280, height=1500)
                await page.until("document.querySelector('#link')?.textContent === 'live'")
                await asyncio.sleep(25)  # some history for the charts
                await page.until(CHARGING, 60)
                await asyncio.sleep(3)
                await page.screenshot(target)
    finally:
        demo.terminate()
        await demo.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
