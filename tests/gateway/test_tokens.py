import pytest

from evcore.gateway.store import Store
from evcore.gateway.tokens import Tokens
from evcore.model import Authorization
from evcore.ports import Token


async def test_what_each_token_may(store):
    now = 1000
    tokens = Tokens(store, clock=lambda: now)
    await tokens.put(Token("good", group="fleet", note="Ada"))
    await tokens.put(Token("soon", expires_ns=1001))
    await tokens.put(Token("late", expires_ns=1000))
    await tokens.put(Token("bad", status="Blocked"))
    assert await tokens.authorize("good") == Authorization("Accepted", None, "fleet")
    assert await tokens.authorize("soon") == Authorization("Accepted", 1001)
    assert (await tokens.authorize("late")).status == "Expired"
    assert (await tokens.authorize("bad")).status == "Blocked"
    assert (await tokens.authorize("nobody")).status == "Invalid"
    now = 1001
    assert (await tokens.authorize("soon")).status == "Expired"


async def test_the_case_of_an_id_does_not_count(store):
    tokens = Tokens(store)
    await tokens.put(Token("AbC1"))
    assert (await tokens.authorize("aBc1")).status == "Accepted"
    await tokens.put(Token("ABC1", status="Blocked"))
    assert [token.id for token in await tokens.list()] == ["ABC1"]
    assert await tokens.delete("abc1")
    assert not await tokens.delete("abc1")
    assert await tokens.list() == []


async def test_tokens_survive_a_restart(tmp_path):
    store = Store(tmp_path / "site.db")
    await store.open()
    kept = Token("A", "Blocked", 5, "group", "note")
    await Tokens(store).put(kept)
    await store.close()
    await store.open()
    assert await Tokens(store).list() == [kept]
    await store.close()


async def test_a_site_may_accept_whom_nobody_entered_but_never_a_missing_token(store):
    tokens = Tokens(store, accept_unknown=True)
    await tokens.put(Token("bad", status="Blocked"))
    assert (await tokens.authorize("anyone")).status == "Accepted"
    assert (await tokens.authorize("bad")).status == "Blocked"
    assert (await tokens.authorize("")).status == "Invalid"


@pytest.mark.parametrize(
    "token",
    [Token(""), Token("x" * 256), Token("a", status="Fine"), Token("a", expires_ns=-1), Token("a", expires_ns=2**63)],
)
async def test_a_token_that_makes_no_sense_is_refused(store, token):
    with pytest.raises(ValueError, match="expected"):
        await Tokens(store).put(token)
