"""One attempt to tell a webhook something: the address is looked at first, and is the one that is connected to.

The law: nothing inside is told, whatever notation its address has; an attempt as a whole takes at most its seconds,
however slowly the other side speaks.
"""

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from billing.core.errors import Invalid
from billing.webhooks import ANSWER_SECONDS, checked_url
from storage.webhooks import Due

UNICAST = IPv6Network("2000::/3")
"""What of IPv6 is given out for hosts of the Internet (RFC 4291, IANA)."""
NAT64 = IPv6Network("64:ff9b::/96")
"""The last 32 bits are the IPv4 address that is reached (RFC 6052)."""
RELAYED = (ip_network("2002::/16"), ip_network("192.88.99.0/24"))
"""6to4: a relay would unwrap it to an address that nobody looked at (RFC 7526)."""


def told(due: Due, headers: Mapping[str, str], *, private: bool, seconds: float = ANSWER_SECONDS) -> int | str:
    """The status of the answer, or why there was none."""
    try:
        address = resolved(due.url, private=private)
        return asyncio.run(_posted(due, headers, address, seconds))
    except Invalid as error:
        return error.message
    except TimeoutError:
        return f"there was no whole answer within {seconds:g} seconds"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


async def _posted(due: Due, headers: Mapping[str, str], address: str, seconds: float) -> int:
    url = httpx.URL(due.url)
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False) as client,  # noqa: S113 - the line above
        client.stream(
            "POST",
            url.copy_with(host=address),
            content=due.payload,
            headers={**headers, "Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        ) as answer,
    ):
        return answer.status_code


def resolved(url: str, *, private: bool) -> str:
    """An IP address of the host of `url`. Raises Invalid where any of them is inside, and OSError when it has none."""
    checked_url(url, private=private)
    host = httpx.URL(url).host
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    inside = [address for address in found if not is_public(address)]
    if inside and not private:
        raise Invalid(
            f"{host} is at {inside[0]}, which is not a public address; METERGATE_WEBHOOK_PRIVATE_ADDRESSES allows it"
        )
    return found[0]


def is_public(text: str) -> bool:
    """Whether an address is a host's on the Internet; one that wraps another is judged by what it wraps."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in NAT64:
            address = IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in net for net in RELAYED)
