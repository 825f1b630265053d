"""Serves page.html, opens it in headless Chromium and prints what it reports.

Arguments: node_modules, WebSocket port, user, password, messages.
"""

import http.server
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse

PATIENCE_SECONDS = 90
modules = pathlib.Path(sys.argv[1])
FILES = {
    "/page": (pathlib.Path(__file__).with_name("page.html"), "text/html"),
    "/mqtt.js": (modules / "mqtt/dist/mqtt.min.js", "text/javascript"),
    "/paho.js": (modules / "paho-mqtt/paho-mqtt-min.js", "text/javascript"),
}
reports = queue.Queue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, kind = FILES.get(urllib.parse.urlsplit(self.path).path, (None, None))
        self.answer(path.read_bytes() if path else None, kind)

    def do_POST(self):
        reports.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer(b"", "text/plain")

    def answer(self, body, kind):
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", f"{kind or 'text/plain'}; charset=utf-8")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


def chromium(url, profile):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}"]
    return subprocess.Popen(["chromium", *flags, url], start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    query = urllib.parse.urlencode(dict(zip(["port", "user", "password", "count"], sys.argv[2:])))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = chromium(f"http://127.0.0.1:{server.server_port}/page?{query}", profile)
        try:
            for line in reports.get(timeout=PATIENCE_SECONDS).splitlines():
                print(line)
        except queue.Empty:
            sys.exit("the page reports nothing")
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()


main()
