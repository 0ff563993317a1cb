"""Serve the built book on this machine only and print its address.

Usage: ``python tools/serve.py [PORT]``, by default the first free port from 8000 on.
"""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
HOST = "127.0.0.1"


class Handler(SimpleHTTPRequestHandler):
    """Files as they are now: a rebuilt page is shown at the next reload."""

    def end_headers(self):
        """Forbid caching."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format, *args):
        """Print only what failed."""
        if len(args) > 1 and str(args[1]).startswith(("4", "5")):
            super().log_message(format, *args)


def serve(ports):
    """Open a server on the first of `ports` that is free."""
    handler = functools.partial(Handler, directory=SITE)
    for port in ports:
        try:
            return ThreadingHTTPServer((HOST, port), handler)
        except OSError:
            continue
    raise SystemExit(f"No free port in {ports[0]} to {ports[-1]}; name one: tools/serve.py PORT")


if __name__ == "__main__":
    if not (SITE / "index.html").exists():
        sys.exit("The book is not built. Run: make book")
    server = serve([int(sys.argv[1])] if len(sys.argv) > 1 else range(8000, 8100))
    print(f"The book is at http://{HOST}:{server.server_port}/ (stop with Ctrl-C)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
