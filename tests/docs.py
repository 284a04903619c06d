"What `make test-docs` runs: every page of the site in Chromium, light and wide, dark and narrow. Ends with 'N passed, N failed'. SHOTS=nbs/pictures keeps the README's pictures of three pages."
import functools
import http.server
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

root = Path(__file__).resolve().parent.parent
site = root / "_docs"
LIMIT = 3_000_000  # bytes of a page with all that it loads
RULES = ["image-alt", "svg-img-alt", "label", "select-name", "link-name", "button-name", "document-title", "html-has-lang", "tabindex", "aria-valid-attr-value"]
NARROW = ["scrollable-region-focusable"]  # on the phone, where most regions scroll
WHOLE = ("tutorials/contribute.html", "tutorials/try_a_variant.html", "results/small.html")  # checked to the last letter
MODES = {"light, wide": dict(viewport=dict(width=1280, height=900), color_scheme="light"), "dark, phone": dict(viewport=dict(width=390, height=844), color_scheme="dark")}
SHOWN = {"index.html": ("home", "h1"), "tutorials/how_it_works.html": ("how-it-works", "#rectified-reverse-function"), "results/cifar10-cpu.html": ("results", "h1")}  # page -> picture of the README, what it begins with


def serve():
    "The site on a free port of this machine."
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), dict(log_message=lambda *a: None))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def browser(p): return p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])


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


LOOKS = r"""() => {  // marks one text of every kind that can be seen (colour, size, weight, background, opacity); code and rows that are like others go
  const kinds = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text; (text = texts.nextNode());) {
    const e = text.parentElement, s = getComputedStyle(e)
    if (!text.data.trim() || !e.checkVisibility({visibilityProperty: true})) continue
    let behind = "", opacity = 1
    for (let of = e; of; of = of.parentElement) { const its = getComputedStyle(of); opacity *= its.opacity; if (!behind.endsWith(")")) behind = its.backgroundColor.replace(/rgba\(.*, 0\)/, "") }
    const kind = [s.color, s.fontSize, s.fontWeight, behind, opacity].join()
    if (!kinds.has(kind)) { kinds.add(kind); e.dataset.look = "" }
  }
  for (const e of document.querySelectorAll(".highlight, tbody tr")) if (!e.querySelector("[data-look]")) e.remove()
}"""
AXE = """async ([where, values]) => (await axe.run(where, {resultTypes: ["violations"], runOnly: {type: "rule", values}})).violations"""


def looked_at(page, axe, phone, whole):
    "What is wrong with how it can be read. The contrast of texts that look alike is measured once a page, which is much faster; with `whole`, of every text."
    wrong = [f"scrolls sideways by {wide} pixels"] if (wide := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0 else []
    page.evaluate(axe.axe_script)
    found = page.evaluate(AXE, ["body", NARROW]) if phone else []  # before anything goes
    if not whole: page.evaluate(LOOKS)
    if not phone: found += page.evaluate(AXE, ["body", RULES])  # the same on the phone
    found += page.evaluate(AXE, ["body" if whole else "[data-look]", ["color-contrast"]])
    return wrong + [f"{v['id']}: {node['html'][:150]} ({node['failureSummary'].splitlines()[-1].strip()[:200]})" for v in found for node in v["nodes"][:3]]


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


def some(base, axe, mode, names):
    "page -> what is wrong, in a browser of its own."
    results = {}
    with sync_playwright() as p:
        page = browser(p).new_context(**MODES[mode]).new_page()
        for name in names:
            wrong = results[f"{name} ({mode})"] = visit(page, base, name)
            if mode.startswith("light") and (folder := os.environ.get("SHOTS")) and name in SHOWN:
                page.locator(SHOWN[name][1]).first.evaluate("e => e.scrollIntoView({behavior: 'instant'})"); page.screenshot(path=f"{folder}/{SHOWN[name][0]}.png")
            if not name.startswith("runs/"): wrong += looked_at(page, axe, "phone" in mode, name in WHOLE)
    return results


def in_use(base):
    "What is wrong with what a reader does on the pages."
    with sync_playwright() as p:
        page = browser(p).new_context().new_page()
        return {"search: orthogonality": search(page, base, "orthogonality", "inhibition"), "search: low data": search(page, base, "low+data", "known_differences"), "keyboard": keyboard(page, base)}


def main():
    if not shutil.which("chromium"): sys.exit("missing: chromium (Debian: apt install chromium)")
    if not (site / "index.html").exists(): sys.exit("missing: _docs/index.html; make docs builds it")
    base, axe = serve(), Axe()
    names = sorted(f.relative_to(site).as_posix() for f in site.rglob("*.html") if "files/results" not in f.as_posix())
    parents = [n.removesuffix(".html") + "-" for n in names if n.startswith(("results/", "files/"))]
    short = [n for n in names if not n.startswith(("runs/", *parents))]  # executed notebooks, studies of a profile: as the others, once is enough
    work = [(mode, part) for mode, of in zip(MODES, (names, short)) for k in range(4) if (part := of[k::4])]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = [pool.submit(some, base, axe, *w) for w in work] + [pool.submit(in_use, base)]
        results = {name: wrong for b in begun for name, wrong in b.result().items()}
    for name, wrong in results.items():
        if wrong: print(f"FAILED: {name}", *wrong, sep="\n    ")
    print(f"{sum(not w for w in results.values())} passed, {sum(map(bool, results.values()))} failed")
    sys.exit(any(results.values()))


if __name__ == "__main__": main()
