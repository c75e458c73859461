#!/bin/sh
# Usage: ensure_browser.sh PYTHON. Prints the path of a Chromium for the browser tests; installs one where there is none.
# Looks at $CHROMIUM, then the PATH, then Playwright's own download. Everything but the path goes to stderr.
set -eu
python=$1

found() {
    if [ -n "${CHROMIUM:-}" ] && [ -x "$CHROMIUM" ]; then echo "$CHROMIUM"; return 0; fi
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if path=$(command -v "$name"); then echo "$path"; return 0; fi
    done
    path=$("$python" -c '
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    print(p.chromium.executable_path)' 2>/dev/null) || return 1
    if [ -x "$path" ]; then echo "$path"; else return 1; fi
}

found && exit 0
echo "No Chromium found; installing one for the browser tests ..." >&2
"$python" -m playwright install chromium >&2 || echo "Playwright could not download a Chromium." >&2
found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >&2 || true
    found && exit 0
fi
echo "The browser tests need a Chromium: install one and set CHROMIUM to its path." >&2
exit 1
