"""Pages in a browser, and all that they ask for or complain about."""

from __future__ import annotations

from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Opened:
    """A page in a window, and all that it asked for or complained about."""

    def __init__(self, browser, path, **options):
        self.window = browser.new_context(accept_downloads=True, **options)
        self.window.set_default_timeout(20_000)
        self.page, self.asked, self.said = self.window.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.path = path

    def at(self, address=""):
        self.page.goto(f"file://{self.path}{address}")
        self.page.wait_for_selector(".grid a", state="attached")
        return self.page

    def close(self):
        own = [url for url in self.asked if not url.startswith(("data:", "blob:"))]
        folder = f"file://{Path(self.path).parent}/"
        self.window.close()
        assert all(url.startswith(folder) for url in own), own
        assert self.said == []


def wide(scheme="light"):
    return {"viewport": {"width": 1280, "height": 900}, "color_scheme": scheme}


def phone(scheme="light"):
    return {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": scheme,
        "has_touch": True,
        "is_mobile": True,
    }


def until(page, expression):
    """Wait for what a page evaluates to; the policy forbids Playwright's own way, in the page."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def settled(page):
    """Wait until all that was done has been drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
