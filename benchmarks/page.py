"""Look at a report.html with Chromium, as its readers do: messages, requests, widths, themes, keys, paper.

    pip install playwright; npm install axe-core
    python benchmarks/page.py REPORT.html --axe node_modules/axe-core/axe.min.js [--shots FOLDER]

Exits with 1 where something is wrong. Chromium is the one on the path; nothing is fetched.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (360, 768, 1440)
THEMES = ("light", "dark")
LARGEST = 3_000_000
"""Of the file [bytes]."""


def main() -> None:
    """Check one page and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js of axe-core")
    parser.add_argument("--shots", type=Path, help="folder for screenshots and the PDF")
    given = parser.parse_args()
    size = given.report.stat().st_size
    wrong = [f"{size:,} bytes"] if size > LARGEST else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for theme in THEMES:
            for width in WIDTHS:
                wrong += look(browser, given.report, theme, width, given.axe, given.shots)
        wrong += without_script(browser, given.report)
        browser.close()
    print("\n".join(wrong) or f"nothing wrong in {given.report} ({size:,} bytes)")
    sys.exit(bool(wrong))


def look(browser: Browser, report: Path, theme: str, width: int, axe: Path, shots: Path | None) -> list[str]:
    """Open the page in one theme and width; return what is wrong."""
    # The page's policy would keep axe out, so the tool alone is let past it, on a second page.
    wrong = []
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda asked: asked.url[:5] in ("file:", "data:") or wrong.append(asked.url))
    page.goto(report.resolve().as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        wrong.append(f"the page is {wide} px wide")
    wrong += use(page)
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=shots / f"{width}-{theme}.jpg", type="jpeg", quality=60)
        page.screenshot(path=shots / f"{width}-{theme}-all.png", full_page=True)
        if width == WIDTHS[-1] and theme == "light":
            page.pdf(path=shots / "report.pdf", prefer_css_page_size=True)
    context.close()
    wrong += violations(browser, report, theme, width, axe)
    return [f"{width} px, {theme}: {line}" for line in wrong]


def use(page: Page) -> list[str]:
    """Sort, point and slide; return what didn't answer."""
    wrong = []
    first = page.locator("table.layers tbody tr").first
    before = first.inner_text()
    heading = page.locator("table.layers thead button", has_text="MACs")
    heading.click()
    heading.click()
    if page.locator("table.layers th[aria-sort=descending]").count() != 1:
        wrong.append("the layer table doesn't say that it is sorted")
    cells = page.locator("table.layers tbody tr td:nth-child(6)").all_inner_texts()
    macs = [int(cell.replace(",", "")) for cell in cells if cell.replace(",", "").isdigit()]
    if macs != sorted(macs, reverse=True):
        wrong.append("the layer table isn't sorted")
    heading.click()
    if first.inner_text() != before:
        wrong.append("the third click doesn't bring the first order back")
    first.focus()
    page.keyboard.press("ArrowDown")
    second = page.locator("table.layers tbody tr").nth(1)
    if page.locator(".pane-layer").inner_text() not in second.inner_text():
        wrong.append("the focus of a layer isn't shown on the picture")
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    if not page.locator("#reader label").inner_text().startswith("Epoch 1 "):
        wrong.append("the slider doesn't read the first epoch")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    return wrong


def violations(browser: Browser, report: Path, theme: str, width: int, axe: Path) -> list[str]:
    """Return axe's violations of any severity."""
    context = browser.new_context(
        color_scheme=theme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.add_script_tag(content=axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(result => result.violations)")
    context.close()
    return [
        f"axe, {one['impact']}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:100]}" for one in found
    ]


def without_script(browser: Browser, report: Path) -> list[str]:
    """Return headings, tables and pictures that are there only with the script."""
    seen = []
    for enabled in (True, False):
        context = browser.new_context(java_script_enabled=enabled)
        page = context.new_page()
        page.goto(report.resolve().as_uri())
        kinds = ("main h2", "main h3", "main table", "main tbody tr", "main img")
        seen.append({kind: page.locator(kind).count() for kind in kinds})
        context.close()
    return [] if seen[0] == seen[1] else [f"without JavaScript: {seen[1]} instead of {seen[0]}"]


if __name__ == "__main__":
    main()
