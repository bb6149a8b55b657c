"""A session store behind HTTP, with the standard library alone.

    python examples/web_handler.py model --port 8000
    curl -d '{"session": "ann", "item": "c03-0150", "k": 5}' localhost:8000/clicks

Each request is a click; it is answered with the next items. Threads share the store. Ctrl-C and
SIGTERM keep its sessions in `sessions.parquet`, and the next start takes them in again, also with a
model that was trained anew.
"""

import argparse
import json
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gru4rec as g4r

SESSIONS = Path("sessions.parquet")


class Clicks(BaseHTTPRequestHandler):
    """Takes a click, answers with what to show."""

    store: g4r.SessionStore

    def do_POST(self) -> None:
        """Answer {"session": …, "item": …, "k": 20} with {"items": […], "scores": […]}."""
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            session, item, k = body["session"], body["item"], int(body.get("k", 20))
            self.store.click_many([session], [item])
            best = self.store.recommend_many([session], k, exclude_clicked=True)
        except (KeyError, TypeError, ValueError, g4r.DataError) as error:
            self.answer(400, {"error": str(error)})
        else:
            self.answer(
                200, {"items": best["item_id"].to_list(), "scores": best["score"].to_list()}
            )

    def answer(self, status: int, content: dict[str, object]) -> None:
        """Send one JSON object."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    options = argparse.ArgumentParser(description="Answer clicks with the next items.")
    options.add_argument("model")
    options.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    asked = options.parse_args()

    Clicks.store = g4r.SessionStore(g4r.load(asked.model), most=100_000, minutes=30)
    if SESSIONS.exists():
        Clicks.store.restore(SESSIONS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as services are stopped
    with ThreadingHTTPServer(("127.0.0.1", asked.port), Clicks) as server:
        print(f"listening on {server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            Clicks.store.save(SESSIONS)
            print(f"kept {len(Clicks.store)} sessions", flush=True)


if __name__ == "__main__":
    main()
