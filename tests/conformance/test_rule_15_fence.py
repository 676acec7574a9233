"""Rule 15: nothing is sent to an address that is not proven to be this session's pod; connections belong to a pod UID."""


def test_rule_15_two_users_at_one_address_never_share_a_connection(wire):
    """The suite's sessions all have the same endpoint: only key, generation and UID tell them apart."""
    other = wire.other_user()
    mine, theirs = wire.ready(), other.ready()
    assert mine is not theirs
    for _ in range(3):
        for who, link in ((wire, mine), (other, theirs)):
            client, used = who.send("GET / HTTP/1.1")
            assert used is link
            assert used.read_request().get("X-Alcove-User") == who.user
            used.answer()
            assert client.read_response().status == 200


def test_rule_15_one_client_connection_that_changes_its_user_changes_the_pods_connection(wire):
    """linkerd2 6129. A proxy in front sends many users' requests by one connection."""
    other = wire.other_user()
    mine, theirs = wire.ready(), other.ready()
    client = wire.dial()
    for who, link in ((wire, mine), (other, theirs), (wire, mine)):
        _, used = who.send("GET / HTTP/1.1", client=client)
        assert used is link
        used.read_request()
        used.answer(who.user.encode())
        assert client.read_response().body == who.user.encode()


def test_rule_15_a_new_generation_at_the_same_address_gets_new_connections(wire):
    """agent-sandbox 1397: an address is used again by another pod; the connection to the old one must not be."""
    old = wire.ready()
    key = f"test/{wire.user}"
    before = wire.gateway.session(key)
    assert wire.gateway.admin(f"/api/v1/sessions/{key}", "DELETE").status in (200, 202)
    wire.gateway.wait_state(key, "absent")
    assert old.closed(10), "the old pod's connections end with its route"
    client, link = wire.send("GET / HTTP/1.1")
    assert link is not old
    link.read_request()
    link.answer()
    assert client.read_response().status == 200
    after = wire.gateway.session(key)
    assert after["generation"] > before["generation"] and old.received.count(b"GET / ") == 0


def test_rule_15_a_request_of_an_old_generation_ends_with_its_own_pod(wire):
    """What is under way when the session ends is finished there, and its connection is not kept."""
    pooled = wire.ready()
    client, link = wire.send("GET /slow HTTP/1.1")
    assert link is pooled
    link.read_request()
    key = f"test/{wire.user}"
    wire.gateway.admin(f"/api/v1/sessions/{key}", "DELETE")
    wire.gateway.wait_state(key, "absent")
    link.answer(b"finished")
    assert client.read_response().body == b"finished" and link.closed(10)
