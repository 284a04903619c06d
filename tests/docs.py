"""What `make test-docs` runs: every page of the site in Chromium, light and wide, dark and narrow.

Ends with 'N passed, N failed'. SHOTS=nbs/pictures keeps the README's pictures of three pages."""
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
LIMIT = 3_300_000  # bytes of a page with all that it loads; the largest, of a study, has 3.2 million with every figure
RULES = ["image-alt", "svg-img-alt", "label", "select-name", "link-name", "button-name", "document-title",
         "html-has-lang", "tabindex", "aria-valid-attr-value"]
NARROW = ["scrollable-region-focusable"]  # on the phone, where most regions scroll
WHOLE = ("tutorials/contribute.html", "tutorials/try_a_variant.html", "results/small.html")  # checked letter by letter
MODES = {
    "light, wide": dict(viewport=dict(width=1280, height=900), color_scheme="light"),
    "dark, phone": dict(viewport=dict(width=390, height=844), color_scheme="dark"),
}
SHOWN = {  # page -> picture of the README, what it begins with
    "index.html": ("home", "h1"),
    "tutorials/how_it_works.html": ("how-it-works", "#rectified-reverse-function"),
    "results/cifar10-cpu.html": ("results", "h1"),
}


def serve():
    "The site on a free port of this machine."
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), dict(log_message=lambda *arguments: None))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def browser(playwright):
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])


# images far below load as well
DECODED = """Promise.all([...document.images].map(image => {
  image.loading = 'eager'
  return image.decode().catch(() => {})
}))"""


def visit(page, base, name):
    "What is wrong with a page when it loads."
    wrong, sizes = [], []

    def requested(request):
        if not request.url.startswith((base, "data:", "blob:")): wrong.append(f"asks for {request.url}")

    def answered(response):
        if response.status >= 400: wrong.append(f"{response.status} {response.url}")

    def told(message):
        if message.type in ("error", "warning"): wrong.append(f"console: {message.text}")

    def loaded(request): sizes.append(request.sizes()["responseBodySize"])
    def threw(error): wrong.append(f"script: {error}")
    watch = {"request": requested, "response": answered, "requestfinished": loaded, "console": told, "pageerror": threw}
    for event, listener in watch.items(): page.on(event, listener)
    page.goto(base + name, wait_until="load")
    page.evaluate(DECODED)
    for event, listener in watch.items(): page.remove_listener(event, listener)
    if sum(sizes) > LIMIT: wrong.append(f"{sum(sizes) / 1e6:.1f} MB")
    return wrong


# marks one text of every kind that can be seen (colour, size, weight, background, opacity);
# code and rows that are like others go
LOOKS = r"""() => {
  const kinds = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text; (text = texts.nextNode());) {
    const e = text.parentElement, s = getComputedStyle(e)
    if (!text.data.trim() || !e.checkVisibility({visibilityProperty: true})) continue
    let behind = "", opacity = 1
    for (let of = e; of; of = of.parentElement) {
      const its = getComputedStyle(of)
      opacity *= its.opacity
      if (!behind.endsWith(")")) behind = its.backgroundColor.replace(/rgba\(.*, 0\)/, "")
    }
    const kind = [s.color, s.fontSize, s.fontWeight, behind, opacity].join()
    if (!kinds.has(kind)) { kinds.add(kind); e.dataset.look = "" }
  }
  for (const e of document.querySelectorAll(".highlight, tbody tr")) if (!e.querySelector("[data-look]")) e.remove()
}"""
AXE = """async ([where, values]) =>
  (await axe.run(where, {resultTypes: ["violations"], runOnly: {type: "rule", values}})).violations"""


def readable(page, axe, is_phone, is_whole):
    """What is wrong with how it can be read.

    The contrast of texts that look alike is measured once a page, which is faster; with `is_whole`, of every text."""
    too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.evaluate(axe.axe_script)
    violations = page.evaluate(AXE, ["body", NARROW]) if is_phone else []  # before anything goes
    if not is_whole: page.evaluate(LOOKS)
    if not is_phone: violations += page.evaluate(AXE, ["body", RULES])  # the same on the phone
    violations += page.evaluate(AXE, ["body" if is_whole else "[data-look]", ["color-contrast"]])
    wrong = [f"scrolls sideways by {too_wide} pixels"] if too_wide > 0 else []
    return wrong + [described(violation["id"], node) for violation in violations for node in violation["nodes"][:3]]


def described(rule, node):
    "A violation in a line."
    return f"{rule}: {node['html'][:150]} ({node['failureSummary'].splitlines()[-1].strip()[:200]})"


def search(page, base, words, expected):
    "What is wrong with a search."
    page.goto(f"{base}search.html?q={words}")
    page.wait_for_selector("#search-results li")
    links = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.getAttribute('href'))")
    return [] if any(expected in link for link in links) else [f"found only {links[:10]}"]


PLACE = "(e => e.tagName + (e.href || e.id || e.textContent).slice(0, 80))(document.activeElement)"


def keyboard(page, base):
    "What is wrong for who has no mouse."
    return tab_stops(page, base) + tables(page, base) + explorer(page, base)


def tab_stops(page, base):
    "The first Tab leads past the navigation, every stop can be seen."
    wrong = []
    page.goto(base)
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.textContent.trim()") != "Skip to content":
        wrong.append("the first Tab is no way to the content")
    places = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        places.add(page.evaluate(PLACE))
    if len(places) < 30: wrong.append(f"40 Tabs reach {len(places)} places")
    return wrong


def press(page, locator, key):
    locator.focus()
    page.keyboard.press(key)


def tables(page, base):
    "Tables sort, and numbers lead to their sources."
    wrong = []
    page.goto(base + "results/small.html")
    press(page, page.locator(".box thead button").nth(2), "Enter")
    if page.locator(".box thead th").nth(2).get_attribute("aria-sort") != "ascending":
        wrong.append("Enter on a header does not sort")
    press(page, page.locator("a.number").first, "Enter")
    page.wait_for_timeout(100)
    if not page.evaluate("document.querySelector('details[open] :target') !== null"):
        wrong.append("a number does not lead to its sources")
    return wrong


def explorer(page, base):
    "The explorer answers."
    page.goto(base + "results/explorer.html")
    before = page.locator("#close").get_attribute("src")
    press(page, page.locator("#explorer-form input"), "ArrowRight")
    is_same = page.locator("#close").get_attribute("src") == before
    return ["the explorer does not answer"] if is_same or page.locator("#errors tbody tr").count() < 2 else []


def shoot(page, name):
    "The README's picture of a page, if it has one and pictures are wanted."
    folder = os.environ.get("SHOTS")
    if not folder or name not in SHOWN: return
    picture, first = SHOWN[name]
    page.locator(first).first.evaluate("e => e.scrollIntoView({behavior: 'instant'})")
    page.screenshot(path=f"{folder}/{picture}.png")


def check_pages(base, axe, mode, names):
    "page -> what is wrong, in a browser of its own."
    results = {}
    with sync_playwright() as playwright:
        page = browser(playwright).new_context(**MODES[mode]).new_page()
        for name in names:
            wrong = results[f"{name} ({mode})"] = visit(page, base, name)
            if mode.startswith("light"): shoot(page, name)
            if not name.startswith("runs/"): wrong += readable(page, axe, "phone" in mode, name in WHOLE)
    return results


def check_use(base):
    "What is wrong with what a reader does on the pages."
    with sync_playwright() as playwright:
        page = browser(playwright).new_context().new_page()
        return {
            "search: orthogonality": search(page, base, "orthogonality", "weighting"),
            "search: low data": search(page, base, "low+data", "known_differences"),
            "keyboard": keyboard(page, base),
        }


def pages():
    "All pages; and those for the phone too: executed notebooks and studies of a profile are as the others."
    names = sorted(f.relative_to(site).as_posix() for f in site.rglob("*.html") if "files/results" not in f.as_posix())
    parents = [name.removesuffix(".html") + "-" for name in names if name.startswith(("results/", "files/"))]
    return names, [name for name in names if not name.startswith(("runs/", *parents))]


def main():
    if not shutil.which("chromium"): sys.exit("missing: chromium (Debian: apt install chromium)")
    if not (site / "index.html").exists(): sys.exit("missing: _docs/index.html; make docs builds it")
    base, axe = serve(), Axe()
    shares = [(mode, names[k::4]) for mode, names in zip(MODES, pages()) for k in range(4)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = [pool.submit(check_pages, base, axe, *share) for share in shares] + [pool.submit(check_use, base)]
        results = {name: wrong for share in begun for name, wrong in share.result().items()}
    for name, wrong in results.items():
        if wrong: print(f"FAILED: {name}", *wrong, sep="\n    ")
    print(f"{sum(not wrong for wrong in results.values())} passed, {sum(map(bool, results.values()))} failed")
    sys.exit(any(results.values()))


if __name__ == "__main__": main()
