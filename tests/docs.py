"What `make test-docs` runs: every page of the site in Chromium, light and wide, dark and narrow. Ends with 'N passed, N failed'. SHOTS=folder keeps pictures of three pages."
import functools
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

root = Path(__file__).resolve().parent.parent
site = root / "_docs"
LIMIT = 3_000_000  # bytes of a page with all that it loads
RULES = ["color-contrast", "image-alt", "svg-img-alt", "label", "select-name", "link-name", "button-name", "document-title", "html-has-lang", "scrollable-region-focusable", "tabindex", "aria-valid-attr-value"]
SHOWN_CODE = ("tutorials/contribute.html", "tutorials/try_a_variant.html")
SHOWN = {"index": "home", "tutorials/how_it_works": "how-it-works", "results/cifar10-cpu": "results"}


def serve():
    "The site on a free port of this machine."
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), dict(log_message=lambda *a: None))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def visit(page, base, name):
    "What is wrong with a page when it loads."
    wrong, size = [], [0]
    def outside(r): wrong.append(f"asks for {r.url}") if not r.url.startswith((base, "data:", "blob:")) else None
    def failed(r): wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None
    def loaded(r): size[0] += r.sizes()["responseBodySize"]
    def said(m): wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None
    def threw(e): wrong.append(f"script: {e}")
    watch = {"request": outside, "response": failed, "requestfinished": loaded, "console": said, "pageerror": threw}
    for event, f in watch.items(): page.on(event, f)
    page.goto(base + name, wait_until="load")
    page.evaluate("Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().catch(() => {}) }))")  # also those far below
    for event, f in watch.items(): page.remove_listener(event, f)
    if size[0] > LIMIT: wrong.append(f"{size[0] / 1e6:.1f} MB")
    return wrong


def looked_at(page, axe, code=False):
    "What is wrong with how it can be read; with `code`, its colours too, which are the same on every page and of which there are many."
    wrong = [f"{v['id']}: {node['html'][:150]} ({node['failureSummary'].splitlines()[-1].strip()[:200]})" for v in axe.run(page, context=None if code else {"exclude": [[".highlight"]]}, options={"runOnly": {"type": "rule", "values": RULES}}).response["violations"] for node in v["nodes"][:3]]
    if (wide := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0: wrong.append(f"scrolls sideways by {wide} pixels")
    return wrong


def search(page, base, words, expected):
    page.goto(f"{base}search.html?q={words}")
    page.wait_for_selector("#search-results li")
    found = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.getAttribute('href'))")
    return [] if any(expected in f for f in found) else [f"found only {found[:10]}"]


def keyboard(page, base):
    "The first Tab leads past the navigation, every stop can be seen, tables sort and the explorer answers without a mouse."
    wrong = []
    page.goto(base)
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.textContent.trim()") != "Skip to content": wrong.append("the first Tab is no way to the content")
    places = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        places.add(page.evaluate("(e => e.tagName + (e.href || e.id || e.textContent).slice(0, 80))(document.activeElement)"))
    if len(places) < 30: wrong.append(f"40 Tabs reach {len(places)} places")
    page.goto(base + "results/small.html")
    button = page.locator(".box thead button").nth(2)
    button.focus(); page.keyboard.press("Enter")
    if page.locator(".box thead th").nth(2).get_attribute("aria-sort") != "ascending": wrong.append("Enter on a header does not sort")
    number = page.locator("a.number").first
    number.focus(); page.keyboard.press("Enter"); page.wait_for_timeout(100)
    if not page.evaluate("document.querySelector('details[open] :target') !== null"): wrong.append("a number does not lead to its sources")
    page.goto(base + "results/explorer.html")
    before = page.locator("#close").get_attribute("src")
    page.locator("#explorer-form input").focus(); page.keyboard.press("ArrowRight")
    if page.locator("#close").get_attribute("src") == before or page.locator("#errors tbody tr").count() < 2: wrong.append("the explorer does not answer")
    return wrong


def main():
    if not (browser := shutil.which("chromium")): sys.exit("missing: chromium (Debian: apt install chromium)")
    if not (site / "index.html").exists(): sys.exit("missing: _docs/index.html; make docs builds it")
    base, axe, results = serve(), Axe(), {}
    names = sorted(f.relative_to(site).as_posix() for f in site.rglob("*.html") if "files/results" not in f.as_posix())
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for mode, options in {"light, wide": dict(viewport=dict(width=1280, height=900), color_scheme="light"), "dark, phone": dict(viewport=dict(width=390, height=844), color_scheme="dark")}.items():
            page = chromium.new_context(**options).new_page()
            for name in names:
                if mode.startswith("dark") and name.startswith("runs/"): continue  # executed notebooks: as the others, only shorter
                results[f"{name} ({mode})"] = visit(page, base, name) + ([] if name.startswith("runs/") else looked_at(page, axe, code=name in SHOWN_CODE))
                if (folder := os.environ.get("SHOTS")) and (shown := SHOWN.get(name.removesuffix(".html"))):
                    page.evaluate("scrollTo(0, 0)"); page.screenshot(path=f"{folder}/{shown}-{mode.split(',')[0]}.png")
        page = chromium.new_context().new_page()
        results |= {"search: orthogonality": search(page, base, "orthogonality", "inhibition"), "search: low data": search(page, base, "low+data", "known_differences"), "keyboard": keyboard(page, base)}
        chromium.close()
    for name, wrong in results.items():
        if wrong: print(f"FAILED: {name}", *wrong, sep="\n    ")
    print(f"{sum(not w for w in results.values())} passed, {sum(map(bool, results.values()))} failed")
    sys.exit(any(results.values()))


if __name__ == "__main__": main()
