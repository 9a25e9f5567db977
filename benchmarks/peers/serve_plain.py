"""python -m benchmarks.peers.serve_plain MODEL PORT: a handler that calls the signature directly.

What one writes first: TensorFlow Serving's row format in, a call of `serving_default`, lists out.
"""

from __future__ import annotations

import sys

import tensorflow as tf
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def main() -> None:
    """Serve until the process is ended."""
    model, port = sys.argv[1:]
    signature = tf.saved_model.load(model).signatures["serving_default"]

    async def predict(request: Request) -> Response:
        content = await request.json()
        outputs = signature(sequence=tf.constant(content["instances"]))
        columns = {name: value.numpy().tolist() for name, value in outputs.items()}
        columns["label"] = [label.decode() for label in columns["label"]]
        rows = zip(*columns.values(), strict=True)
        return JSONResponse({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})

    async def ready(_: Request) -> Response:
        return Response()

    app = Starlette(
        routes=[
            Route("/v1/models/charseq:predict", predict, methods=["POST"]),
            Route("/readyz", ready),
        ]
    )
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
