"""What `make test-docs` runs: every page of the site in Chromium, light and wide, dark and narrow.

Ends with 'N passed, N failed'."""
import base64
import functools
import http.server
import os
import re
import shutil
import sys
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

root = Path(__file__).resolve().parent.parent
site = root / "_docs"
unpacked = tempfile.TemporaryDirectory()  # reports, see Handler
LIMIT = 3_300_000  # bytes of a page with all that it loads; the largest, of a study, has 3.2 million with every figure
RULES = ["image-alt", "svg-img-alt", "label", "select-name", "link-name", "button-name", "document-title",
         "html-has-lang", "tabindex", "aria-valid-attr-value"]
NARROW = ["scrollable-region-focusable"]  # on the phone, where most regions scroll
WHOLE = ("tutorials/contribute.html", "tutorials/try_a_variant.html", "results/small.html", "results/index.html",
         "results/explorer.html")  # checked letter by letter
SIZE = 40_000_000  # bytes of the whole site
ASKED = {  # what people ask -> pages of which one must be among the first three; below: what must not be found
    "own network": ["tutorials/your_network"],
    "trained model": ["tutorials/how_robust"],
    "robustness report": ["tutorials/how_robust", "tutorials/your_pictures"],
    "add a data set": ["tutorials/try_a_variant", "tutorials/contribute", "data/205_catalogue"],
    "random mask": ["045_masks", "tutorials/try_a_variant", "glossary"],
    "AugMix JSD": ["120_augmix", "tutorials/what_we_learned"],
    "orthogonality": ["040_weighting", "080_inhibition", "api/gwi.weighting"],
    "low data": ["known_differences"],
}
OUT_OF_SEARCH = ("runs/", "results/paper-mini")
UNREAD = ("runs/", "files/source/")  # executed notebooks, source: only whether they load
MODES = {
    "light, wide": dict(viewport=dict(width=1280, height=900), color_scheme="light"),
    "dark, phone": dict(viewport=dict(width=390, height=844), color_scheme="dark"),
}


class Handler(http.server.SimpleHTTPRequestHandler):
    "Answers with files of the site; with a report also where the site has it packed."
    def log_message(self, *arguments): pass

    def translate_path(self, path):
        path = super().translate_path(path)
        packed = Path(f"{path}.zip")
        if not packed.is_file(): return path
        with zipfile.ZipFile(packed) as report:
            return report.extract(report.namelist()[0], tempfile.mkdtemp(dir=unpacked.name))


def serve():
    "The site on a free port of this machine."
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site))
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
    "What is wrong with a search: none of the pages among the first three, or what is out of the index."
    page.goto(f"{base}search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li")
    page.wait_for_function("!document.querySelector('#search-results .search-summary').textContent.endsWith('...')")
    links = page.eval_on_selector_all("#search-results li > a", "all => all.map(a => a.getAttribute('href'))")
    first = list(dict.fromkeys(link.partition("#")[0].removesuffix(".html") for link in links))[:3]
    wrong = [] if set(first) & set(expected) else [f"the first are {first}, not {' or '.join(expected)}"]
    return wrong + [f"finds {link}" for link in links if link.startswith(OUT_OF_SEARCH)]


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
    press(page, page.locator(".box .numbers thead button").nth(2), "Enter")
    if page.locator(".box .numbers thead th").nth(2).get_attribute("aria-sort") != "ascending":
        wrong.append("Enter on a header does not sort")
    press(page, page.locator("a.number").first, "Enter")
    page.wait_for_timeout(100)
    if not page.evaluate("document.querySelector('details[open] :target') !== null"):
        wrong.append("a number does not lead to its sources")
    return wrong


def explorer(page, base):
    "The explorer answers: another image, another definition, differences with intervals."
    page.goto(base + "results/explorer.html")
    before = page.locator("#close").get_attribute("src")
    press(page, page.locator("#explorer-form input"), "ArrowRight")
    is_same = page.locator("#close").get_attribute("src") == before
    wrong = ["the explorer does not answer"] if is_same or page.locator("#errors tbody tr").count() < 2 else []
    page.select_option("#explorer-form [name=corruption]", "fog")
    shown = page.locator("#definitions li:visible")
    if shown.count() != 1 or shown.get_attribute("data-of") != "fog": wrong.append("not the definition of fog")
    if page.locator("#errors svg circle").count() < 2: wrong.append("no differences are drawn")
    if not re.search(r"[+−][0-9.]+ \[[+−][0-9.]+,\s[+−][0-9.]+\]", page.locator("#errors").inner_text()):
        wrong.append("no interval stands beside a difference")
    return wrong + own_image(page)


def own_image(page):
    "An own image is corrupted in the browser, and says so where it cannot be; nothing is sent."
    page.set_input_files("#own input", root / "nbs" / "pictures" / "gallery-clean.jpg")
    page.wait_for_function("document.getElementById('close').src.startsWith('data:')")
    said = page.locator("#own-said").inner_text()
    wrong = [] if "needs Python" in said else ["fog is not said to need Python"]
    whole = page.locator("#close").get_attribute("src")
    for name in ("gaussian_noise", "pixelate", "jpeg_compression", "contrast", "saturate", "shot_noise"):
        page.select_option("#explorer-form [name=corruption]", name)
        if page.locator("#close").get_attribute("src") in ("", "data:,", whole): wrong.append(f"{name} draws nothing")
    page.locator("#own button").click()
    dropped(page)
    page.locator("#own button").click()
    is_back = "/explorer/" in page.locator("#close").get_attribute("src")
    return wrong if is_back else [*wrong, "no way back to the flower"]


DROP = """([name, type, content]) => {
  const files = new DataTransfer()
  files.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name, {type}))
  document.getElementById("own").dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}))
}"""


def dropped(page):
    "An image that is dropped is taken; what is no image is refused with a word. An error where one of them is not."
    image = base64.b64encode((root / "nbs" / "pictures" / "gallery-clean.jpg").read_bytes()).decode()
    page.evaluate(DROP, ["own.jpg", "image/jpeg", image])
    page.wait_for_function("document.getElementById('close').src.startsWith('data:')")
    page.evaluate(DROP, ["own.txt", "text/plain", base64.b64encode(b"no image").decode()])
    page.wait_for_function("document.getElementById('own-said').innerText.startsWith('No image')")


# of every table that is wider than the page lets it be, scrolled to its end: whether its first column is in view
SCROLLED = r"""() => {
  const wrong = []
  for (const table of document.querySelectorAll("article table")) {
    if (!table.checkVisibility() || !table.tBodies.length) continue
    const box = [table, ...(table.closest(".box, .table-wrapper") ? [table.closest(".box, .table-wrapper")] : [])]
      .find(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "auto")
    if (!box) continue
    box.scrollLeft = box.scrollWidth
    const first = table.tBodies[0].rows[0].cells[0].getBoundingClientRect(), edge = box.getBoundingClientRect()
    if (first.left < edge.left - 1 || first.right > edge.right + 1) wrong.push(table.innerText.slice(0, 60))
    box.scrollLeft = 0
  }
  return wrong
}"""
# every number ± number, and the code lines of the page
BROKEN = r"""() => {
  const wrong = [], texts = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT)
  for (let text; (text = texts.nextNode());) {
    if (text.parentElement.closest("pre, script") || !text.parentElement.checkVisibility()) continue
    for (const {index, 0: found} of text.data.matchAll(/\d\s±\s[\d.]+/g)) {
      const range = new Range()
      range.setStart(text, index)
      range.setEnd(text, index + found.length)
      if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) wrong.push(found)
    }
  }
  for (const pre of document.querySelectorAll(".highlight pre")) {
    if (!getComputedStyle(pre).whiteSpace.startsWith("pre") || getComputedStyle(pre).whiteSpace === "pre-wrap") {
      wrong.push("a code block breaks its lines")
    }
  }
  return wrong
}"""
COVERS = """() => {
  const top = document.querySelector(".back-to-top")
  return !!top && top.checkVisibility() && ["fixed", "sticky"].includes(getComputedStyle(top).position)
}"""


def narrow(page):
    "What is wrong with tables, numbers and code of a page on the phone."
    page.evaluate("document.documentElement.classList.add('show-back-to-top')")
    wrong = [f"the first column leaves the view: {words!r}" for words in page.evaluate(SCROLLED)]
    wrong += [f"breaks {words!r}" for words in page.evaluate(BROKEN)[:5]]
    return wrong + (["'back to top' lies on the text"] if page.evaluate(COVERS) else [])


IN_VIEW = """label => {
  const cells = [...document.querySelectorAll(`td[data-label="${label}"]`)].filter(e => e.textContent.trim())
  return cells.map(e => e.getBoundingClientRect()).map(({left, right}) => left >= 0 && right <= innerWidth)
}"""


def verdicts(page, base):
    "On the phone every verdict is seen without scrolling sideways, and the overview sorts there, too."
    wrong = []
    for name, label in (("results/index.html", "verdict"), ("results/claims.html", "direction")):
        page.goto(base + name)
        seen = page.evaluate(IN_VIEW, label)
        if not seen or not all(seen): wrong.append(f"{name}: {sum(seen)} of {len(seen)} verdicts are in view")
    page.goto(base + "results/index.html")
    press(page, page.locator(".overview thead button").nth(3), "Enter")
    errors = page.locator(".overview").first.locator("td[data-label=mCE]").all_inner_texts()
    numbers = [float(re.search(r"\d+\.\d+", words)[0]) for words in errors if re.search(r"\d+\.\d+", words)]
    return wrong if numbers == sorted(numbers) and len(numbers) > 20 else [*wrong, "the overview does not sort"]


IS_CUT = """() => {
  const table = document.querySelector("article table"), box = table.closest(".box, .table-wrapper")
  return Math.max(box.scrollWidth - box.clientWidth, table.scrollWidth - table.clientWidth)
}"""


def uncut(page, base):
    "Where there is room, the overview and the claims of a study are seen whole."
    wrong = []
    for name in ("results/index.html", "results/cifar10-cpu.html"):
        page.goto(base + name)
        if (cut := page.evaluate(IS_CUT)) > 1: wrong.append(f"{name}: the table is {cut} pixels wider than its box")
    return wrong


def check_pages(base, axe, mode, names):
    "page -> what is wrong, in a browser of its own."
    results = {}
    with sync_playwright() as playwright:
        page = browser(playwright).new_context(**MODES[mode]).new_page()
        for name in names:
            wrong = results[f"{name} ({mode})"] = visit(page, base, name)
            if name.startswith(UNREAD): continue
            if "phone" in mode and "files/" not in name: wrong += narrow(page)
            wrong += readable(page, axe, "phone" in mode, name in WHOLE)
    return results


def check_use(base):
    "What is wrong with what a reader does on the pages."
    with sync_playwright() as playwright:
        page = browser(playwright).new_context().new_page()
        found = {f"search: {words}": search(page, base, words, expected) for words, expected in ASKED.items()}
        phone = browser(playwright).new_context(**MODES["dark, phone"]).new_page()
        wide = browser(playwright).new_context(**MODES["light, wide"]).new_page()
        return found | {"keyboard": keyboard(page, base), "verdicts on the phone": verdicts(phone, base),
                        "tables where there is room": uncut(wide, base)}


def size():
    "What is wrong with the site as a whole."
    n_bytes = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    return [f"{n_bytes / 1e6:.0f} MB, more than {SIZE / 1e6:.0f}"] if n_bytes > SIZE else []


def pages():
    "All pages; and those for the phone too: executed notebooks and studies of a profile are as the others."
    files = [*site.rglob("*.html"), *site.glob("files/*.html.zip")]
    names = sorted(f.relative_to(site).as_posix().removesuffix(".zip") for f in files)
    parents = [name.removesuffix(".html") + "-" for name in names if name.startswith(("results/", "files/"))]
    return names, [name for name in names if not name.startswith((*UNREAD, *parents))]


def main():
    if not shutil.which("chromium"): sys.exit("missing: chromium (Debian: apt install chromium)")
    if not (site / "index.html").exists(): sys.exit("missing: _docs/index.html; make docs builds it")
    base, axe = serve(), Axe()
    shares = [(mode, names[k::4]) for mode, names in zip(MODES, pages()) for k in range(4)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = [pool.submit(check_pages, base, axe, *share) for share in shares] + [pool.submit(check_use, base)]
        results = {name: wrong for share in begun for name, wrong in share.result().items()} | {"size": size()}
    for name, wrong in results.items():
        if wrong: print(f"FAILED: {name}", *wrong, sep="\n    ")
    print(f"{sum(not wrong for wrong in results.values())} passed, {sum(map(bool, results.values()))} failed")
    sys.exit(any(results.values()))


if __name__ == "__main__": main()
