"""Encryption of a connection between conductor and worker, where the cluster's engine has TLS.

The certificates are the engine's own. Both sides must show one, as between the engine's processes.
"""

import socket
import ssl
from typing import NamedTuple


class Certificates(NamedTuple):
    """PEM files of an engine: of its authority, and the certificate and key of this machine."""

    authority: str
    certificate: str
    key: str


class EncryptedSocket(ssl.SSLSocket):
    """Understands `socket.MSG_DONTWAIT` as a plain socket does."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As of `socket.socket`. Raises BlockingIOError: nothing has come."""
        if not flags & socket.MSG_DONTWAIT:
            return super().recv(buflen, flags)
        self.setblocking(False)
        try:
            return super().recv(buflen)
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error
        finally:
            self.setblocking(True)


def encrypted(
    connection: socket.socket, *, certificates: Certificates, as_server: bool
) -> socket.socket:
    """The connection, encrypted from now on; waits until the other side does the same.

    Args:
        connection: a blocking one.
        as_server: True on the side of the conductor.

    Raises:
        OSError: a file cannot be read, or the other side has no certificate of this authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if as_server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the token has proved who it is; nodes often have no name
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    context.load_cert_chain(certificates.certificate, certificates.key or None)
    context.sslsocket_class = EncryptedSocket
    return context.wrap_socket(connection, server_side=as_server)
