"""Which addresses a download reaches, and that no connection is made to any other."""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.fetching import fetch as fetch_module
from bot.fetching.addresses import is_public
from bot.fetching.fetch import Fetcher, FetchError, FetchProblem
from tests.media.origins import SECRET, SONG, Origin, answer, assert_clean, fetcher, origin

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

PUBLIC = "93.184.215.14"
BACKSLASH = "\\"

# Made for these tests and trusted by nothing else; valid from 2020 to 2120 for media.example, cdn.example and PUBLIC.
KEY_AND_CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg051RrzHgpW2krsxE
vlqsnFm89xA7UXbtaJnQLjpQvu+hRANCAAQHN0jZMGkWMqO7YO7rG/IfMnCkAGdb
xPF1hL/k0V+QHHrunfpFryrM0ioUTU/RxLKZjCGKZKBdNBRNJf4aUSPg
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBqDCCAU2gAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1tZWRpYS5l
eGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1tZWRpYS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBzdI
2TBpFjKju2Du6xvyHzJwpABnW8TxdYS/5NFfkBx67p36Ra8qzNIqFE1P0cSymYwh
imSgXTQUTSX+GlEj4KOBhTCBgjAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQE
AwIChDATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQUWdD++UijQ5Hwi8+F
WYEyehzvDA8wKwYDVR0RBCQwIoINbWVkaWEuZXhhbXBsZYILY2RuLmV4YW1wbGWH
BF241w4wCgYIKoZIzj0EAwIDSQAwRgIhANRO256gfuCDQ0phRnEXanpBwkPvAbHW
BeadIrFee8xbAiEAiwukpj0vjKpwMBTqppppypbBKlKNgBH3HZR3q0VrfOg=
-----END CERTIFICATE-----
"""

REFUSED = [
    *("127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "100.127.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1", "0.0.0.0"),
    *("255.255.255.255", "0.1.2.3", "192.0.0.8", "192.0.0.192", "192.0.2.1", "198.51.100.7", "203.0.113.9"),
    *("198.18.0.1", "198.19.255.255", "192.88.99.1", "168.63.129.16"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2002:808:808::1"),
    *("2001::1", "2001:2::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]
ALLOWED = [
    *("1.1.1.1", "8.8.8.8", PUBLIC, "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    it = tmp_path / "media"
    it.mkdir()
    return it


class Names(AbstractResolver):
    """Resolves each name to the next of its answers, the last one for ever."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self._answers:
            raise OSError(None, f"no such name {host}")
        answers = self._answers[host]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in (answers.pop(0) if len(answers) > 1 else answers[0])
        ]

    async def close(self) -> None:
        pass


class Internet:
    """A one-server internet: whatever address a socket connects to, it ends at `site`, and `reached` knows."""

    def __init__(self, site: Origin, certificate: Path) -> None:
        self.site = site
        self.reached: list[str] = []
        self.tls = ssl.create_default_context(cafile=str(certificate))
        internet = self

        class Diverted(socket.socket):
            def connect(self, address: Any) -> None:
                internet.reached.append(address[0])
                super().connect(("127.0.0.1", internet.site.port))

        self.socket = Diverted


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(KEY_AND_CERTIFICATE)
    return path


@pytest.fixture
async def internet(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    """`/to/URL` redirects there, everything else is a song."""

    async def respond(path: str, writer: asyncio.StreamWriter) -> None:
        location = path.partition("/to/")[2].replace("%5C", BACKSLASH)
        close = "Connection: close"
        writer.write(
            answer(b"", f"Location: {location}", close, status="302 Found") if location else answer(SONG, close)
        )

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with origin(respond, tls) as site:
        it = Internet(site, certificate)
        monkeypatch.setattr(fetch_module, "socket", SimpleNamespace(socket=it.socket))
        yield it


@asynccontextmanager
async def guarded(internet: Internet, names: Names | None = None) -> AsyncIterator[Fetcher]:
    async with fetcher(allow_private=False, resolver=names or Names({}), tls=internet.tls) as it:
        yield it


async def refused(internet: Internet, url: str, folder: Path, names: Names | None = None) -> FetchError:
    async with guarded(internet, names) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch(url, folder / "file")
    assert_clean(caught.value, folder)
    return caught.value


@pytest.mark.parametrize("address", REFUSED)
async def test_no_connection_is_made_to_an_address_that_must_not_be_reached(
    address: str, internet: Internet, folder: Path
) -> None:
    names = Names({"media.example": [[address]], "twice.example": [[address, "10.0.0.7"]]})
    literal = f"[{address.replace('%', '%25')}]" if ":" in address else address
    for host in ("media.example", "twice.example", literal):
        error = await refused(internet, f"https://{host}/song.mp3?{SECRET}", folder, names)
        assert error.kind is FetchProblem.REFUSED_ADDRESS, host
    assert (internet.reached, internet.site.connections) == ([], 0)


@pytest.mark.parametrize("address", REFUSED)
def test_refused_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_what_is_no_address_is_not_public() -> None:
    assert not is_public("/run/docker.sock")


@pytest.mark.parametrize("host", ["media.example", PUBLIC])
async def test_a_public_address_is_reached_over_verified_https(host: str, internet: Internet, folder: Path) -> None:
    async with guarded(internet, Names({"media.example": [[PUBLIC]]})) as it:
        fetched = await it.fetch(f"https://{host}/song.mp3", folder / "file")
    assert fetched.path.read_bytes() == SONG
    assert (internet.reached, internet.site.connections) == ([PUBLIC], 1)


async def test_a_certificate_for_another_name_is_network_trouble(internet: Internet, folder: Path) -> None:
    async with guarded(internet, Names({"other.example": [[PUBLIC]]})) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch("https://other.example/", folder / "file")
    assert_clean(caught.value, folder)
    assert caught.value.reason.startswith("other.example: ClientConnectorCertificateError")
    assert internet.site.requests == []


async def test_a_name_that_changes_its_address_is_judged_each_time_it_is_used(internet: Internet, folder: Path) -> None:
    names = Names({"media.example": [[PUBLIC], ["127.0.0.1"]]})
    async with guarded(internet, names) as it:
        await it.fetch("https://media.example/", folder / "file")
        with pytest.raises(FetchError) as caught:
            await it.fetch("https://media.example/", folder / "other")
    assert caught.value.kind is FetchProblem.REFUSED_ADDRESS
    # One question per connection: the answer that is checked is the one that is used.
    assert len(names.asked) == 2
    assert (internet.reached, internet.site.connections) == ([PUBLIC], 1)


async def test_a_name_with_good_and_bad_addresses_only_leads_to_the_good(internet: Internet, folder: Path) -> None:
    names = Names({"media.example": [["10.0.0.1", "::1", PUBLIC, "127.0.0.1"]]})
    async with guarded(internet, names) as it:
        await it.fetch("https://media.example/", folder / "file")
    assert internet.reached == [PUBLIC]


async def test_an_unknown_name_is_network_trouble(internet: Internet, folder: Path) -> None:
    async with guarded(internet) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch("https://nowhere.example/", folder / "file")
    assert caught.value.kind is FetchProblem.NETWORK


BAD_URLS = [
    *("file:///etc/passwd", "ftp://media.example/", "gopher://media.example/", "data:audio/mpeg;base64,SUQz"),
    *("http://media.example/", "http://media.example:443/", "unix:///run/docker.sock", "javascript:alert(1)"),
    *("https://media.example:80/", "https://media.example:8443/", "https://media.example:22/"),
    *("https://user:very-secret@media.example/", "https://user@media.example/", "https://@media.example/"),
    *("https://media.example@127.0.0.1/", "https://media.example\\@127.0.0.1/", "https:///song.mp3", "https:"),
    *("https://media.example:0/", "https://media.example:99999/", "https://media.example:x/", "https://[::1/"),
]


@pytest.mark.parametrize(
    "url",
    [
        *BAD_URLS,
        *("", " ", "media.example/song.mp3", "//media.example/", "/song.mp3", "https://media.example/\r\nHost: x"),
        *("https://media example/a", "https://media.example/\x00", "https://media.example/" + "a" * 9000),
        *("https://media.example/\ud800", "https://127.1/", "https://2130706433/", "https://media.example\u202e/"),
    ],
)
async def test_a_bad_url_is_refused_before_anything_is_asked(url: str, internet: Internet, folder: Path) -> None:
    names = Names({"media.example": [[PUBLIC]]})
    error = await refused(internet, url, folder, names)
    assert error.kind is FetchProblem.BAD_URL
    assert (names.asked, internet.reached) == ([], [])


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
async def test_a_name_that_cannot_be_resolved_is_a_bad_url(host: str, folder: Path) -> None:
    # The system's own resolver refuses these before it asks anybody.
    async with fetcher(allow_private=False) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch(f"https://{host}/", folder / "file")
    assert_clean(caught.value, folder)
    assert caught.value.kind is FetchProblem.BAD_URL


@pytest.mark.parametrize("url", [url for url in BAD_URLS if url not in {"https:", "https:///song.mp3"}])
async def test_a_redirect_to_a_bad_url_is_refused(url: str, internet: Internet, folder: Path) -> None:
    names = Names({"cdn.example": [[PUBLIC]], "media.example": [[PUBLIC]]})
    error = await refused(internet, f"https://cdn.example/to/{url.replace(BACKSLASH, '%5C')}", folder, names)
    assert error.kind is FetchProblem.BAD_URL
    assert (names.asked, internet.site.connections) == (["cdn.example"], 1)


@pytest.mark.parametrize("address", REFUSED)
async def test_a_redirect_to_an_address_that_must_not_be_reached_is_refused(
    address: str, internet: Internet, folder: Path
) -> None:
    names = Names({"media.example": [[PUBLIC]], "inside.example": [[address]]})
    literal = f"[{address.replace('%', '%25')}]" if ":" in address else address
    for host in ("inside.example", literal):
        error = await refused(internet, f"https://media.example/to/https://{host}/", folder, names)
        assert error.kind is FetchProblem.REFUSED_ADDRESS
    assert (internet.reached, internet.site.connections) == ([PUBLIC, PUBLIC], 2)


async def test_redirects_are_followed_five_times(internet: Internet, folder: Path) -> None:
    names = Names({"media.example": [[PUBLIC]], "cdn.example": [[PUBLIC]]})
    async with guarded(internet, names) as it:
        five = "https://media.example" + "/to//x" * 4 + "/to/https://cdn.example/song.mp3"
        fetched = await it.fetch(five, folder / "file")
        assert fetched.path.read_bytes() == SONG
        assert names.asked == ["media.example"] * 5 + ["cdn.example"]
    fetched.path.unlink()
    error = await refused(internet, "https://media.example" + "/to//x" * 6, folder, names)
    assert error.kind is FetchProblem.BAD_STATUS
    assert "redirects" in error.reason
