"""The AWS Price List API on loopback: products in the shape that `pricing:GetProducts` returns them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ON_DEMAND = "JRTCKXETXF"
DIMENSION = "6YS6EN2CT7"


def product(
    service: str, usage: str, unit: str, *usd: str, region: str = "eu-west-1", **attributes: str
) -> dict[str, Any]:
    """One product with a tier per price."""
    sku = f"SKU{abs(hash((usage, usd))):013d}"[:16]
    tiers = {
        f"{sku}.{ON_DEMAND}.{DIMENSION}{i}": {
            "unit": unit,
            "beginRange": str(i * 1000),
            "endRange": "Inf",
            "description": f"${amount} per {unit}",
            "appliesTo": [],
            "rateCode": f"{sku}.{ON_DEMAND}.{DIMENSION}{i}",
            "pricePerUnit": {"USD": amount},
        }
        for i, amount in enumerate(usd)
    }
    return {
        "product": {
            "productFamily": "any",
            "attributes": {"servicecode": service, "regionCode": region, "usagetype": usage, **attributes},
            "sku": sku,
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                f"{sku}.{ON_DEMAND}": {
                    "priceDimensions": tiers,
                    "sku": sku,
                    "effectiveDate": "2026-09-01T00:00:00Z",
                    "offerTermCode": ON_DEMAND,
                    "termAttributes": {},
                }
            }
        },
        "version": "20260925174521",
        "publicationDate": "2026-09-25T17:45:21Z",
    }


@dataclass
class PriceList:
    """The API: what it offers, what it was asked, and whether it refuses."""

    products: list[dict[str, Any]]
    refusal: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Filter as AWS does, one product a page."""
        if self.refusal is not None:
            return 400, {"__type": self.refusal, "Message": "User is not authorized to perform: pricing:GetProducts"}
        wanted = {each["Field"]: each["Value"] for each in request["Filters"]}
        found = [
            json.dumps(each)
            for each in self.products
            if each["serviceCode"] == request["ServiceCode"] and wanted.items() <= each["product"]["attributes"].items()
        ]
        page = int(request.get("NextToken", "0"))
        answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": found[page : page + 1]}
        return 200, {**answer, "NextToken": str(page + 1)} if page + 1 < len(found) else answer


@contextmanager
def serve(api: PriceList) -> Iterator[PriceList]:
    """Serve `api` on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
            api.asked.append(request)
            api.authorizations.append(self.headers["Authorization"])
            status, answer = api.answer(request)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
