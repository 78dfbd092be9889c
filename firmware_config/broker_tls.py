"""TLS to the broker: what is demanded of it, and what went wrong as a sentence that says what to do."""

from __future__ import annotations

import contextlib
import ssl
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from firmware_config.errors import BadState
from firmware_config.settings import BrokerSettings

WARN_BEFORE: Final = timedelta(days=60)
"""Before a certificate ends: time for somebody to go to the door."""
PAIR_AGAIN: Final = "make new ones with `latchkey-admin door renew NAME` and carry them here"
"""For a door and a lock; whoever else has a certificate says what is to be done for it."""
WRITE_AGAIN: Final = "`latchkey-admin broker write`, then reload Mosquitto"

AS_RFC_5280_ASKS: Final = (
    f"Python 3.13 and later want both as RFC 5280 has them. Ours are: {WRITE_AGAIN}. An authority of your own needs "
    "both key identifiers, a key usage and critical basic constraints"
)

NOT_RFC_5280: Final = range(79, 95)
"""OpenSSL's X509_V_ERR numbers for what it demands where Python asks it to be strict, as 3.13 and later do."""

ABOUT_THE_BROKER: Final = {
    # OpenSSL's X509_V_ERR numbers (x509_vfy.h): what we think of the broker's certificate.
    9: "the broker's certificate is not valid yet; set this machine's clock, which says {now}",
    10: f"the broker's certificate has expired; renew it: {WRITE_AGAIN}. Or this machine's clock, {{now}}, is wrong",
    18: "the broker's certificate is not from our site's authority; is {url} our broker, and ca.crt our site's?",
    19: "the broker's certificate is not from our site's authority; is {url} our broker, and ca.crt our site's?",
    20: "the broker's certificate is not from our site's authority; is {url} our broker, and ca.crt our site's?",
    26: "the broker's certificate is not that of a broker; somebody may be posing as ours at {url}",
    62: f"the broker's certificate is for another name than {{host}}; add it: {WRITE_AGAIN} (--host {{host}})",
    64: f"the broker's certificate is for another name than {{host}}; add it: {WRITE_AGAIN} (--host {{host}})",
}

ABOUT_US: Final = {
    # OpenSSL's names of TLS alerts (RFC 8446, 6.2): what the broker thinks of ours.
    "CERTIFICATE_EXPIRED": "our certificate has expired; {renewal}",
    "CERTIFICATE_REVOKED": "our certificate was revoked at the office; to be let in again this must be paired anew "
    "(`latchkey-admin door add NAME`)",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate of ours and we have none; name cert_file and key_file, "
    "or {renewal}",
    "UNKNOWN_CA": "the broker trusts another authority than ours; {renewal}",
    "DECRYPT_ERROR": "the broker trusts another authority than ours; {renewal}",
    "BAD_CERTIFICATE": "the broker cannot use our certificate; {renewal}",
    "UNSUPPORTED_CERTIFICATE": "our certificate is not one for clients; {renewal}",
    "PROTOCOL_VERSION": "the broker at {url} does not speak TLS 1.3; Mosquitto wants `tls_version tlsv1.3`",
    "WRONG_VERSION_NUMBER": "what answers at {url} speaks no TLS; for a broker without it write mqtt:// there",
}


class Excuse:
    """The last word of a connection that ended, kept for whoever tells why. One thread."""

    def __init__(self) -> None:
        self._error: ssl.SSLError | None = None

    def note(self, error: ssl.SSLError) -> None:
        """Keep it, unless a clearer one came before."""
        if self._error is None or isinstance(self._error, ssl.SSLEOFError):
            self._error = error

    def take(self) -> ssl.SSLError | None:
        """The error, once."""
        error, self._error = self._error, None
        return error


def secure_context(broker: BrokerSettings, excuse: Excuse) -> ssl.SSLContext:
    """TLS 1.3 only, with our certificate where there is one. Raises BadState for files that cannot be used."""

    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if broker.cert_file is not None:
            context.load_cert_chain(broker.cert_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        raise BadState(
            f"The broker's certificate files cannot be used: {error}. Pair again, or restore them."
        ) from error
    context.sslsocket_class = _talkative(excuse)
    return context


def _talkative(excuse: Excuse) -> type[ssl.SSLSocket]:
    class _Talkative(ssl.SSLSocket):
        """paho turns every error of a socket into "connection lost"; the alert in it says what to do."""

        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
            except OSError:
                # paho forgets a socket whose handshake failed, and every attempt would leave one open.
                self.close()
                raise

        def recv(self, size: int = 1024, flags: int = 0) -> bytes:
            try:
                return super().recv(size, flags)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                excuse.note(error)
                raise

        def send(self, data: Any, flags: int = 0) -> int:
            try:
                return super().send(data, flags)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except (ssl.SSLError, ConnectionError):
                # The broker hung up before we had spoken; its reason lies unread.
                with contextlib.suppress(OSError):
                    self.recv(1)
                raise

    return _Talkative


def why_refused(error: BaseException | None, broker: BrokerSettings, renewal: str = PAIR_AGAIN) -> str:
    """What a failed connection means and what to do, without a full stop; "" where TLS was not the reason. renewal:
    how whoever asks comes to another certificate of its own."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"now": now, "url": broker.url, "host": broker.host, "renewal": renewal}
    if isinstance(error, ssl.SSLCertVerificationError):
        if known := ABOUT_THE_BROKER.get(error.verify_code):
            return known.format(**facts)
        refused = f"the broker's certificate, or its authority's, is refused: {error.verify_message}"
        return f"{refused}; {AS_RFC_5280_ASKS}" if error.verify_code in NOT_RFC_5280 else refused
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return ""
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        for name, sentence in ABOUT_US.items():
            if name in reason:
                return sentence.format(**facts)
        return f"TLS with the broker failed ({reason or error})" if reason else ""
    return ""


def why_unanswered(error: BaseException | None, broker: BrokerSettings) -> str:
    """The same for an attempt that came to nothing and was not refused: always a sentence."""
    if broker.tls and isinstance(error, ssl.SSLEOFError | ConnectionResetError):
        return f"what answers at {broker.url} hangs up before TLS begins; for a broker without it write mqtt:// there"
    return f"no broker answers at {broker.url}"


def expiry(broker: BrokerSettings) -> datetime | None:
    """Aware, UTC: when our own certificate ends; None where we have none. Raises BadState."""
    if broker.cert_file is None:
        return None
    from cryptography import x509  # noqa: PLC0415 - only who asks about certificates waits for it

    try:
        return x509.load_pem_x509_certificate(broker.cert_file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise BadState(f"The certificate {broker.cert_file} cannot be read: {error}. Pair again.") from error
