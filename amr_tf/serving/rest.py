"""TensorFlow Serving over REST, with the standard library: the client starts at once and needs no TensorFlow."""

import concurrent.futures
import contextlib
import http.client
import json
import threading
import urllib.parse
from typing import Any

import numpy as np

from amr_tf.serving.transport import FOREIGN, REFUSED, TIMEOUT, UNKNOWN_MODEL, UNREACHABLE, Server, Signature


class RestServer(Server):
    """A model of a server at an http:// or https:// address.

    A path in the address precedes the server's own paths, as behind a proxy.
    """

    def _status(self):
        return self._ask("GET", "")

    def _metadata(self):
        answer = self._ask("GET", "/metadata")
        with self._reading():
            return answer["metadata"]["signature_def"]

    def _predict(self, signature: Signature, inputs: dict[str, np.ndarray]):
        answer = self._ask("POST", ":predict", request_body(signature.name, inputs))
        with self._reading():
            outputs = answer["outputs"]
        # A single output comes without its name.
        return {next(iter(signature.outputs)): outputs} if len(signature.outputs) == 1 else outputs

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        """Returns the JSON that the server answers.

        Raises:
            ServingError: no answer in time, an answer that is not JSON, or the server's own refusal.
        """
        # The time-out of a socket counts for each packet, and a server can send packets for ever.
        exchange: concurrent.futures.Future[tuple[int, bytes]] = concurrent.futures.Future()
        threading.Thread(target=self._exchange, args=(exchange, method, path, body), daemon=True).start()
        try:
            status, data = exchange.result(self.timeout)
        except TimeoutError as error:
            raise self._error(TIMEOUT) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._error(UNREACHABLE, error) from error
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._error(FOREIGN, f"HTTP status {status}") from error
        if status == http.client.OK:
            return answer
        if not isinstance(answer, dict) or "error" not in answer:
            raise self._error(FOREIGN, f"HTTP status {status}")
        raise self._error(UNKNOWN_MODEL if status == http.client.NOT_FOUND else REFUSED, answer["error"])

    def _exchange(
        self, exchange: concurrent.futures.Future, method: str, path: str, body: str | None
    ) -> None:
        """Sends a request and puts HTTP status and content of the response into `exchange`."""
        address = urllib.parse.urlsplit(self.url)
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        base = f"{address.path.rstrip('/')}/v1/models/{urllib.parse.quote(self.model, safe='')}"
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            with contextlib.closing(connect(address.netloc, timeout=self.timeout)) as connection:
                connection.request(method, base + path, body, headers)
                with connection.getresponse() as response:
                    exchange.set_result((response.status, response.read()))
        except Exception as error:
            exchange.set_exception(error)


def request_body(name: str, inputs: dict[str, np.ndarray]) -> str:
    """Returns the JSON of a predict request, in the columnar format: every input by name as lists in lists."""
    return json.dumps(
        {"signature_name": name, "inputs": {key: array.tolist() for key, array in inputs.items()}}
    )
