#!/usr/bin/env python3
"""Tries API version 2's functions wherever they run, as a program would that has nothing but their address.

usage: python3 test/test_v2_functions.py [--ca FILE] [URL]

URL is http://127.0.0.1:8080 unless given here or in COFRAP_URL. With the operator's token in ADMIN_TOKEN, expiry and renewal are tried too, and the
accounts that were made are disabled in the end; without it they stay, by names that begin with `smoke.`. FILE holds authorities in PEM, besides
the system's. It waits for fresh codes, so that it takes up to three minutes.

Exit status: 0 if everything that was tried went well, 1 if something did not, 2 if nothing could be tried.
"""
import base64
import hashlib
import hmac
import json
import os
import secrets
import ssl
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

PASSWORD_LENGTH = 24
ALPHABET = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*()_+-=[]{}|;:,.<>?")
STEP = 30


class Failed(Exception):
    """What was answered is not what was expected."""


class Skipped(Exception):
    """It could not be tried here."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


# --- HTTP -------------------------------------------------------------------------------------------------------------


class Functions:
    """The functions at an address."""

    def __init__(self, url, operator, authorities):
        self.url = url.rstrip("/")
        self.operator = operator
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(authorities)
        # No redirect is followed: where one leads is for a test to see.
        handlers = [NoRedirect(), urllib.request.HTTPSHandler(context=context)]
        self.opener = urllib.request.build_opener(*handlers)

    def ask(self, path, body=None, method=None, bearer=None, media_type="application/json"):
        """Status, headers and JSON of an answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", media_type)
        if bearer:
            request.add_header("Authorization", f"Bearer {bearer}")
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, read_json(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, read_json(error.read())

    def call(self, function, body, status=200, code=None, bearer=None):
        """The JSON of a function's answer, which must have a status and, for errors, a code."""
        got, headers, answer = self.ask(f"/function/{function}", body, bearer=bearer)
        if got == 429 and status != 429:
            raise Failed(f"{function}: too many attempts from here; try again in {headers.get('Retry-After', '?')} s")
        expect(got == status, f"{function}: {status} expected, {got} came: {shown(answer)}")
        if code:
            expect(answer.get("code") == code, f"{function}: {code} expected, {answer.get('code')} came")
        return answer


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def read_json(text):
    try:
        return json.loads(text)
    except ValueError:
        return {}


def shown(answer):
    """An answer without what is secret in it."""
    secret = ("password", "qr_code", "provisioning_uri", "token", "renewal_token", "challenge")
    return {name: "..." if name in secret else value for name, value in answer.items()}


# --- A QR code as these functions draw it: a grey PNG of 1 bit, 8 pixels a module, a margin of 4, mask 0, level M ---------


def read_qr(image):
    """The text of a QR code of version 1 to 3, or None: nothing is searched for and nothing is corrected."""
    rows = modules(base64.b64decode(image))
    version = (len(rows) - 17) // 4
    words = {1: 16, 2: 28, 3: 44}.get(version)
    return None if words is None else segments(data_bits(rows, version)[: words * 8])


def modules(file):
    """Rows of dark (True) and light modules."""
    side = struct.unpack(">I", file[16:20])[0] // 8
    at, data = 8, b""
    while at < len(file):
        length = struct.unpack(">I", file[at : at + 4])[0]
        if file[at + 4 : at + 8] == b"IDAT":
            data += file[at + 8 : at + 8 + length]
        at += length + 12
    lines, above, rows = zlib.decompress(data), bytes(side), []
    for line in range(side * 8):
        stored = lines[line * (side + 1) : (line + 1) * (side + 1)]
        expect(stored[0] == 2, "the image is of another kind")
        above = bytes((one + other) & 255 for one, other in zip(above, stored[1:]))
        if line % 8 == 0:
            rows.append([byte == 0 for byte in above])
    return [row[4:-4] for row in rows[4:-4]]


def data_bits(rows, version):
    """Two columns at a time from the right, upwards and downwards in turn (ISO/IEC 18004, 7.7.3)."""
    size, bits, upward, right = len(rows), [], True, len(rows) - 1
    while right > 0:
        right = 5 if right == 6 else right
        for step in range(size):
            row = size - 1 - step if upward else step
            for column in (right, right - 1):
                finder = row < 9 and (column < 9 or column >= size - 8) or row >= size - 8 and column < 9
                alignment = version > 1 and abs(row - size + 7) <= 2 and abs(column - size + 7) <= 2
                if not (finder or alignment or row == 6 or column == 6):
                    bits.append(rows[row][column] != ((row + column) % 2 == 0))
        upward, right = not upward, right - 2
    return bits


def segments(bits):
    """Segments of digits, of few characters, of bytes (7.4)."""
    few, at, text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", 0, ""

    def number(length):
        nonlocal at
        at += length
        return int("".join("1" if bit else "0" for bit in bits[at - length : at]), 2)

    while at + 4 <= len(bits) and (mode := number(4)):
        expect(mode in (1, 2, 4), "the QR code has a segment of another mode")
        left = number({1: 10, 2: 9, 4: 8}[mode])
        while left > 0:
            if mode == 1:
                digits = min(left, 3)
                text += str(number((4, 7, 10)[digits - 1])).zfill(digits)
                left -= digits
            elif mode == 2 and left > 1:
                pair = number(11)
                text += few[pair // 45] + few[pair % 45]
                left -= 2
            else:
                text += few[number(6)] if mode == 2 else chr(number(8))
                left -= 1
    return text


# --- A person --------------------------------------------------------------------------------------------------------


class Person:
    """An account with what its owner has: the password and the authenticator."""

    def __init__(self, functions):
        self.functions = functions
        self.username = f"smoke.{secrets.token_hex(6)}"
        self.password = self.secret = None
        self.used = 0

    def code(self):
        """A code that was not used yet: each is worth one login."""
        while (step := int(time.time()) // STEP) <= self.used:
            time.sleep(0.5)
        self.used = step
        digest = hmac.new(self.secret, struct.pack(">Q", step), hashlib.sha1).digest()
        offset = digest[-1] & 15
        return str((struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000).zfill(6)

    def new_password(self, proof=None, bearer=None):
        body = {"username": self.username, **(proof or {})}
        answer = self.functions.call("generate-password-v2", body, bearer=bearer)
        expect(answer["success"] is True and answer["username"] == self.username, "the answer names somebody else")
        expect(abs(answer["gendate"] - time.time()) < 120, "gendate is not now: is a clock wrong?")
        self.password = read_qr(answer["qr_code"])
        expect(self.password and len(self.password) == PASSWORD_LENGTH, f"the password has not {PASSWORD_LENGTH} characters")
        expect(set(self.password) <= ALPHABET, "the password has characters of another alphabet")
        return answer

    def new_second_factor(self, proof=None):
        answer = self.functions.call("generate-2fa-v2", {"username": self.username, **(proof or {})})
        address = urllib.parse.urlsplit(answer["provisioning_uri"])
        secret = urllib.parse.parse_qs(address.query)["secret"][0]
        expect((address.scheme, address.netloc, len(secret)) == ("otpauth", "totp", 32), "the URI is no otpauth://totp/ with 32 characters")
        self.secret = base64.b32decode(secret)
        return answer

    def log_in(self, status=200, code=None, **fields):
        body = {"username": self.username, "password": self.password, "2FA_code": fields.pop("given_code", None) or self.code()}
        return self.functions.call("authenticate-user-v2", {**body, **fields}, status, code)


# --- What is tried ---------------------------------------------------------------------------------------------------


def health(functions, _):
    status, _, answer = functions.ask("/function/health")
    if status == 404:
        raise Skipped("health is closed here, as on a public host name")
    expect(status == 200, f"health says {status}: {shown(answer)}")


def create(functions, person):
    """generate-password-v2: a new account and its password, as a QR code"""
    try:
        person.new_password()
    except Failed:
        if not functions.operator:
            raise
        # registration=operator
        person.new_password(bearer=functions.operator)


def enrol(_, person):
    """generate-2fa-v2: the second factor, for an authenticator"""
    answer = person.new_second_factor()
    expect(answer["issuer"] == "MSPR2-COFRAP", f"the issuer is {answer['issuer']}")
    expect(answer["qr_code"], "there is no QR code")


def refuse(_, person):
    """authenticate-user-v2: a wrong password and a wrong code are refused alike"""
    wrong_password = person.log_in(401, "invalid_credentials", password="wrong", given_code="000000")
    wrong_code = person.log_in(401, "invalid_credentials", given_code="000000")
    expect(wrong_password == wrong_code, "the answers tell which one was wrong")


def log_in(functions, person):
    """authenticate-user-v2: both are right, and a code works once"""
    code = person.code()
    answer = person.log_in(given_code=code)
    expect(answer["success"] is True and isinstance(answer["user_id"], int), "there is no user_id")
    person.log_in(401, "invalid_credentials", given_code=code)
    if "token" not in answer:
        raise Skipped("no sessions here (policy=legacy)")
    status, _, session = functions.ask("/function/session", bearer=answer["token"])
    expect(status == 200 and session["username"] == person.username, "the session is nobody's")


def guard(functions, person):
    """generate-password-v2, generate-2fa-v2: without proof nobody replaces what an active account has"""
    functions.call("generate-password-v2", {"username": person.username}, 403, "proof_required")
    functions.call("generate-2fa-v2", {"username": person.username}, 403, "proof_required")


def change(_, person):
    """generate-password-v2: with proof there is another password, and the one before is worth nothing"""
    before = person.password
    person.new_password({"password": before, "2FA_code": person.code()})
    expect(person.password != before, "it is the same password")
    person.log_in()
    person.log_in(401, "invalid_credentials", password=before, given_code="000000")


def expire(functions, person):
    """authenticate-user-v2: who has expired renews both, and logs in"""
    if not functions.operator:
        raise Skipped("set ADMIN_TOKEN to have an account expire")
    body = {"username": person.username, "action": "expire"}
    status, _, answer = functions.ask("/function/administer-account", body, bearer=functions.operator)
    if status == 404:
        raise Skipped("operators' routes are closed here, as on a public host name")
    expect(status == 200, f"administer-account: {status}: {shown(answer)}")
    answer = person.log_in(403, "password_expired")
    expect(answer["password_expired"] is True and answer["renewal_token"], "there is no way to renew")
    proof = {"renewal_token": answer["renewal_token"]}
    person.new_password(proof)
    person.new_second_factor(proof)
    person.log_in()


def malformed(functions, _):
    """every function: what is malformed is refused with the field's name"""
    answer = functions.call("generate-password-v2", {}, 400, "missing_field")
    expect("username" in answer["error"], "the error does not name the field")
    functions.call("generate-password-v2", {"username": 7}, 400)
    status, _, answer = functions.ask("/function/authenticate-user-v2", b"{}", media_type="text/plain")
    expect((status, answer.get("code")) == (415, "unsupported_media_type"), f"text/plain: {status}")
    status, _, _ = functions.ask("/function/authenticate-user-v2", method="PUT")
    expect(status == 405, f"PUT: {status}")
    status, _, _ = functions.ask("/function/there-is-no-such-function")
    expect(status == 404, f"another function: {status}")


def https(functions, _):
    """the gateway: HTTPS alone, and browsers are told so"""
    address = urllib.parse.urlsplit(functions.url)
    if address.scheme != "https":
        raise Skipped("this is no https:// address")
    _, headers, _ = functions.ask("/login")
    expect("max-age=" in headers.get("Strict-Transport-Security", ""), "Strict-Transport-Security is missing")
    if address.port in (None, 443):
        plain = Functions(f"http://{address.hostname}", None, None)
        status, headers, _ = plain.ask("/login")
        expect(status in (301, 308) and headers["Location"].startswith("https://"), f"http:// is answered {status}")


TESTS = [health, create, enrol, log_in, refuse, guard, change, expire, malformed, https]


def main(arguments):
    authorities = None
    if arguments[:1] == ["--ca"] and len(arguments) > 1:
        authorities, arguments = arguments[1], arguments[2:]
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    url = (arguments or [os.environ.get("COFRAP_URL", "http://127.0.0.1:8080")])[0]
    functions = Functions(url, os.environ.get("ADMIN_TOKEN") or None, authorities)
    print(f"trying {functions.url}")
    person, counts = Person(functions), {"ok": 0, "FAILED": 0, "skipped": 0}
    for test in TESTS:
        said = (test.__doc__ or "health: everything that the functions need is there").splitlines()[0]
        try:
            test(functions, person)
            outcome, why = "ok", ""
        except Skipped as reason:
            outcome, why = "skipped", f": {reason}"
        except (Failed, KeyError, TypeError, ValueError, IndexError) as problem:
            outcome, why = "FAILED", f": {problem if isinstance(problem, Failed) else repr(problem)}"
        except OSError as problem:
            print(f"cannot reach {functions.url}: {getattr(problem, 'reason', problem)}", file=sys.stderr)
            return 2 if not counts["ok"] else 1
        counts[outcome] += 1
        print(f"{outcome:>8}  {said}{why}", flush=True)
        if outcome == "FAILED" and test in (create, enrol):
            print("          what follows needs this account")
            break
    if functions.operator and person.password:
        functions.ask("/function/administer-account", {"username": person.username, "action": "disable"}, bearer=functions.operator)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
