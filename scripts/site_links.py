"""Follows the links of a site of HTML pages: every file and every anchor must be there. Links to the web are left alone."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Made by mdbook for every site: a page for addresses that do not exist, a frame with the contents, and all pages in one, whose anchors differ.
OF_THE_TOOL = {"404.html", "toc.html", "print.html"}


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken(site):
    """Every link of the site that leads nowhere, with its page."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name not in OF_THE_TOOL}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if not target.is_file() or (parts.fragment and known and unquote(parts.fragment) not in known.anchors):
                yield f"{path.relative_to(site)}: {link}"


def main():
    site = Path(sys.argv[1]).resolve()
    found = list(broken(site))
    pages = len(list(site.rglob("*.html")))
    if found or pages < 10:
        sys.exit("\n".join([*found, f"{len(found)} links of {pages} pages lead nowhere"]))
    print(f"{pages} pages, and every link leads somewhere")


if __name__ == "__main__":
    main()
