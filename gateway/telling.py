"""One attempt to tell a webhook something: the address is looked at first, and is the one that is connected to."""

import ipaddress
import socket
from collections.abc import Mapping

import httpx

from billing.core.errors import Invalid
from billing.webhooks import ANSWER_SECONDS, checked_url
from storage.webhooks import Due


def told(due: Due, headers: Mapping[str, str], *, private: bool) -> int | str:
    """The status of the answer, or why there was none."""
    try:
        address = resolved(due.url, private=private)
        url = httpx.URL(due.url)
        request = {"sni_hostname": url.host}
        with (
            httpx.Client(timeout=ANSWER_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=due.payload,
                headers={**headers, "Host": url.netloc.decode("ascii")},
                extensions=request,
            ) as answer,
        ):
            return answer.status_code
    except Invalid as error:
        return error.message
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def resolved(url: str, *, private: bool) -> str:
    """An IP address of the host of `url`. Raises Invalid where any of them is inside, and OSError when it has none."""
    checked_url(url, private=private)
    host = httpx.URL(url).host
    found = [entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    inside = [address for address in found if not ipaddress.ip_address(str(address).partition("%")[0]).is_global]
    if inside and not private:
        raise Invalid(
            f"{host} is at {inside[0]}, which is not a public address; METERGATE_WEBHOOK_PRIVATE_ADDRESSES allows it"
        )
    return str(found[0])
