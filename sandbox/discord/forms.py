"""Menus and forms: what a person can choose and type, and what an interaction carries of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.discord.state import payloads
from sandbox.discord.state.model import Channel, Json, Member, Role

STRING_MENU, TEXT_INPUT, USER_MENU, ROLE_MENU, MENTIONABLE_MENU, CHANNEL_MENU = 3, 4, 5, 6, 7, 8
RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 21, 22, 23
MENUS = frozenset({STRING_MENU, USER_MENU, ROLE_MENU, MENTIONABLE_MENU, CHANNEL_MENU})

Choosable = str | Channel | Role | Member
"""What can be chosen in a menu: a text's value, or a thing of the server's."""

Filled = str | bool | Sequence[Choosable]
"""What a field of a form can be filled with: words, the value of a radio button, a tick, or choices."""

_KINDS: dict[int, tuple[type, ...]] = {
    STRING_MENU: (str,),
    USER_MENU: (Member,),
    ROLE_MENU: (Role,),
    MENTIONABLE_MENU: (Member, Role),
    CHANNEL_MENU: (Channel,),
}


class NoSuchComponentError(LookupError):
    """There is no such button, menu or field, or it cannot be used like that."""


def chosen(menu: Json, values: Sequence[Choosable]) -> tuple[list[str], Json]:
    """Return what a menu carries when these are chosen, and what is resolved with it; raises NoSuchComponentError."""
    kind, name = menu["type"], menu["custom_id"]
    least, most = menu.get("min_values", 1), menu.get("max_values", 1)
    # In a form, one that need not be filled in can be left as it is.
    if not (least <= len(values) <= most or (not values and menu.get("required") is False)):
        raise NoSuchComponentError(f"{name!r} takes {least} to {most} values")
    resolved: Json = {}
    found = [_value(menu, kind, value, resolved) for value in values]
    return found, resolved


def _value(menu: Json, kind: int, value: Choosable, resolved: Json) -> str:
    if not isinstance(value, _KINDS[kind]):
        raise NoSuchComponentError(f"{menu['custom_id']!r} does not offer {value}")
    if isinstance(value, str):
        if value not in {option["value"] for option in menu["options"]}:
            raise NoSuchComponentError(f"{menu['custom_id']!r} does not offer {value!r}")
        return value
    if isinstance(value, Channel):
        known = payloads.channel(value)
        if menu.get("channel_types") and known["type"] not in menu["channel_types"]:
            raise NoSuchComponentError(f"{menu['custom_id']!r} does not offer channels like #{value.name}")
        resolved.setdefault("channels", {})[str(value.id)] = known | {"permissions": str(value.bot_bits)}
    elif isinstance(value, Role):
        resolved.setdefault("roles", {})[str(value.id)] = payloads.role(value)
    else:
        partial = payloads.member(value) | {"permissions": payloads.member_permissions(value)}
        resolved.setdefault("users", {})[str(value.id)] = partial.pop("user")
        resolved.setdefault("members", {})[str(value.id)] = partial
    return str(value.id)


def filled(modal: Json, values: Mapping[str, Filled]) -> tuple[list[Json], Json]:
    """Return a form's components as they are sent, and what is resolved with them; raises NoSuchComponentError.

    What is not named is sent as the form shows it.
    """
    resolved: Json = {}
    left = dict(values)
    components = [_component(item, left, resolved) for item in modal["components"]]
    if left:
        raise NoSuchComponentError(f"the form has no {sorted(left)}")
    return components, resolved


def _component(item: Json, left: dict[str, Filled], resolved: Json) -> Json:
    entry: Json = {"type": item["type"], "id": item.get("id", 0)}
    if "components" in item:
        entry["components"] = [_component(one, left, resolved) for one in item["components"]]
    if "component" in item:
        entry["component"] = _component(item["component"], left, resolved)
    if item["type"] == TEXT_INPUT:
        typed = left.pop(item["custom_id"], item.get("value") or "")
        entry |= {"custom_id": item["custom_id"], "value": _typed(item, typed)}
    elif item["type"] in MENUS:
        name = item["custom_id"]
        if name in left:
            picked = left.pop(name)
            if isinstance(picked, (str, bool)):
                raise NoSuchComponentError(f"{name!r} is a menu")
            found, more = chosen(item, picked)
        else:
            found, more = _as_shown(item), {}
        for key, things in more.items():
            resolved.setdefault(key, {}).update(things)
        entry |= {"custom_id": name, "values": found}
    elif item["type"] in {RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX}:
        entry |= {"custom_id": item["custom_id"]} | _ticked(item, left.pop(item["custom_id"], None))
    return entry


def _ticked(item: Json, wanted: Filled | None) -> Json:
    """Return what radio buttons or boxes carry; None leaves them as the form shows them."""
    name = item["custom_id"]
    if item["type"] == CHECKBOX:
        if not isinstance(wanted, (bool, type(None))):
            raise NoSuchComponentError(f"{name!r} is a box to tick")
        return {"value": bool(item.get("default")) if wanted is None else wanted}
    offered = [option["value"] for option in item["options"]]
    if wanted is None:
        picked = [option["value"] for option in item["options"] if option.get("default")]
    elif isinstance(wanted, bool):
        raise NoSuchComponentError(f"{name!r} has several values")
    else:
        picked = [wanted] if isinstance(wanted, str) else [str(one) for one in wanted]
    required = item.get("required", True)
    if item["type"] == RADIO_GROUP:
        least, most = int(required), 1
    else:
        least, most = item.get("min_values", int(required)), item.get("max_values", len(offered))
    if not set(picked) <= set(offered) or not (least <= len(picked) <= most or (not picked and not required)):
        raise NoSuchComponentError(f"{name!r} does not take {picked}")
    return {"value": next(iter(picked), None)} if item["type"] == RADIO_GROUP else {"values": picked}


def _typed(item: Json, typed: Filled) -> str:
    name = item["custom_id"]
    if not isinstance(typed, str):
        raise NoSuchComponentError(f"{name!r} takes words")
    least = item.get("min_length", 1 if item.get("required", True) else 0)
    if len(typed) > item.get("max_length", 4000) or ((typed or item.get("required", True)) and len(typed) < least):
        raise NoSuchComponentError(f"{name!r} does not take {len(typed)} characters")
    return typed


def _as_shown(menu: Json) -> list[str]:
    if menu["type"] == STRING_MENU:
        found = [option["value"] for option in menu["options"] if option.get("default")]
    else:
        found = [entry["id"] for entry in menu.get("default_values") or ()]
    if len(found) < menu.get("min_values", 1) and menu.get("required", True):
        raise NoSuchComponentError(f"{menu['custom_id']!r} has to be filled in")
    return found
