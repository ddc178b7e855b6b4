"""Which network addresses belong to the public internet."""

from __future__ import annotations

import ipaddress
from typing import Final

# Beyond what `ipaddress` calls private: its tables grew between Python releases, and these must not depend on them.
# From the IANA special-purpose registries; 168.63.129.16 is Azure's host agent behind a public-looking address.
_REFUSED_IPV4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Only 2000::/3 is global unicast. That alone shuts out ::1, IPv4-compatible, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48),
# unique local, link-local, site-local and multicast addresses; these are the exceptions inside it: protocol
# assignments with Teredo and benchmarking, documentation, 6to4.
_GLOBAL_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_IPV6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def is_public(address: str) -> bool:
    """Say whether a numeric IPv4 or IPv6 address belongs to the public internet.

    Addresses that carry an IPv4 address inside (mapped) are judged by it; NAT64, 6to4 and Teredo, which reach IPv4
    networks through a translator nearby, are not public.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        return ip.is_global and ip in _GLOBAL_IPV6 and not any(ip in network for network in _REFUSED_IPV6)
    return ip.is_global and not any(ip in network for network in _REFUSED_IPV4)
