"""A customer for schemathesis: every request carries their identity, or their session and its token, as it is then.

They have something in the cart and an order that went through, so that what is asked for by id can be found.
"""

import base64
import hashlib
import hmac
import json
import os
import time
import zlib

import requests
import schemathesis

DOOR = os.environ["SHOP_DOOR"]
SERVICE = os.environ["SHOP_SERVICE"]
KEY = os.environ["SHOP_INTERNAL_KEY"].encode()
PASSWORD = "a long enough password"
PRODUCT = "kit-101"
ADDRESS = {"street": "1 Main Street", "city": "Cork", "postcode": "T12", "country": "Ireland"}
CARD = {"card_number": "4242424242424242", "expiry": "12/39", "cvc": "123", "holder": "Ada"}
VISIT = "019a0000-0000-7000-8000-000000000002"
ENDING = ("/api/register", "/api/sign-in", "/api/sign-out")
# Seconds from an order to its mail.
PATIENCE = 30


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Visitor:
    """A browser with the shop's page."""

    def __init__(self):
        self.http, self.csrf = requests.Session(), ""
        self.look()

    def look(self):
        self.csrf = self.ask("GET", "/api/session")["csrf_token"]

    def ask(self, method, path, headers=None, **rest):
        headers = {"X-CSRF-Token": self.csrf, **(headers or {})}
        answer = self.http.request(method, DOOR + path, headers=headers, timeout=10, **rest)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def register(self):
        body = {"email": f"{SERVICE}@openapi.test", "name": "Ada", "password": PASSWORD}
        self.id = self.ask("POST", "/api/register", json=body)["customer"]["id"]
        self.look()

    def order(self):
        """An order that has become a mail, and something in the cart for the next."""
        self.ask("PUT", f"/api/cart/items/{PRODUCT}", json={"quantity": 1})
        checkout = {"payment": CARD, "address": ADDRESS}
        key = {"Idempotency-Key": "the-first"}
        order = self.ask("POST", "/api/orders", headers=key, json=checkout)["order"]["id"]
        until = time.monotonic() + PATIENCE
        while not (mails := self.ask("GET", "/api/mailbox")["items"]):
            assert time.monotonic() < until, f"no mail within {PATIENCE} s of an order"
            time.sleep(0.1)
        self.ask("PUT", f"/api/cart/items/{PRODUCT}", json={"quantity": 2})
        return order, mails[0]["id"]


guest, customer = Visitor(), Visitor()
customer.register()
order, mail = customer.order()
# What the users service knows the customer's session by.
session = hashlib.sha256(customer.http.cookies["shop_session"][1:].encode()).hexdigest()


def identity():
    """As services/kit/src/identity.rs has it."""
    now = int(time.time())
    claims = {"iss": "gateway", "sub": customer.id, "sid": VISIT, "iat": now, "exp": now + 60}
    claims = b64(json.dumps(claims).encode())
    return f"{claims}.{b64(hmac.new(KEY, claims.encode(), hashlib.sha256).digest())}"


def known(path, name):
    """What a placeholder of a path may hold and the shop knows."""
    if name == "file":
        return f"{PRODUCT.upper()}.svg"
    if name == "hash":
        return session
    if "mailbox" in path:
        return mail
    return order if "order" in path else PRODUCT


def half(made_up):
    """Half of what is made up; which half follows from it, so that each run is the same."""
    return zlib.crc32(str(made_up).encode()) % 2 == 0


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    operation, pairs = context.operation, (path_parameters or {}).items()
    if operation.method.upper() == "DELETE":
        return path_parameters
    return {name: known(operation.path, name) if half(value) else value for name, value in pairs}


@schemathesis.hook
def before_call(context, case, kwargs):
    if SERVICE != "gateway":
        case.headers["X-Shop-Identity"] = identity()
        return
    # Who signs in, up or out ends the session that they had; a guest has none to end.
    visitor = guest if case.operation.path in ENDING else customer
    case.headers["Cookie"] = f"shop_session={visitor.http.cookies['shop_session']}"
    if "X-CSRF-Token" in case.headers:
        case.headers["X-CSRF-Token"] = visitor.csrf
