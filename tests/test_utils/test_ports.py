"""The port of a distributed run."""

import socket

import pytest

from mmlgd.errors import ConfigError
from mmlgd.utils import ports


def test_a_port_chosen_can_be_listened_on():
    port = ports.choose_port()
    with socket.create_server(('127.0.0.1', port)):
        assert port > 0


def test_several_nodes_share_the_default_they_all_know(monkeypatch):
    monkeypatch.setattr(ports, '_bind', lambda port: port)
    assert ports.choose_port(num_nodes=2) == 29500
    assert ports.choose_port(12345, num_nodes=2) == 12345


@pytest.mark.parametrize(
    ('num_nodes', 'advice'), [(1, 'leave it unset'), (2, 'every node')]
)
def test_a_taken_port_is_named_with_advice(num_nodes, advice):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf'Port {port} .*Address.*{advice}'):
            ports.choose_port(port, num_nodes)


def test_an_invalid_port_is_refused():
    with pytest.raises(ConfigError, match='Port 70000 .*0-65535'):
        ports.choose_port(70000)
    assert ports.choose_port(ports.choose_port()) > 0


def test_no_port_left(monkeypatch):
    def refuse(port):
        raise OSError(98, 'in use')

    monkeypatch.setattr(ports, '_bind', refuse)
    with pytest.raises(ConfigError, match='no free TCP port'):
        ports.choose_port()
