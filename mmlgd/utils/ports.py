"""Find or check the TCP port of a distributed run, before anything starts.

``python -m mmlgd.utils.ports --nnodes N [--port P]`` prints the port to use. The launch
scripts call it, so that a port in use causes one message instead of a traceback from
each process.
"""

import argparse
import os
import socket
import sys

from mmlgd.errors import ConfigError, MMLGDError

#: torch.distributed's default, which all nodes know without communication.
DEFAULT_PORT = 29500


def _bind(port: int) -> int:
    """Bind a port on all addresses, as torch's store does; return its number."""
    if socket.has_dualstack_ipv6():
        server = socket.create_server(
            ('', port), family=socket.AF_INET6, dualstack_ipv6=True
        )
    else:
        server = socket.create_server(('', port))
    with server:
        return server.getsockname()[1]


def choose_port(port: int | None = None, num_nodes: int = 1) -> int:
    """Return the port that the first node of a run can listen on.

    Args:
        port (int, optional): The requested port. Defaults to None: any free port for a
            single node, :data:`DEFAULT_PORT` for several nodes, which must all know it
            beforehand.
        num_nodes (int): Number of machines. Defaults to 1.

    Returns:
        int: A port that was free when it was checked.

    Raises:
        ConfigError: The port is in use, out of range, or reserved; or none is free.
    """
    wanted = port if port is not None else (0 if num_nodes == 1 else DEFAULT_PORT)
    try:
        return _bind(wanted)
    except (OSError, OverflowError) as error:
        number = getattr(error, 'errno', None)
        reason = os.strerror(number) if number else str(error).rstrip('.')
        if wanted == 0:
            raise ConfigError(
                f'This machine has no free TCP port: {reason}.'
            ) from error
        advice = (
            'set PORT to a free one, or leave it unset to choose one automatically'
            if num_nodes == 1
            else 'set PORT to a free one, the same on every node'
        )
        raise ConfigError(
            f'Port {wanted} cannot be used for this run: {reason}; {advice}.'
        ) from error


def main() -> None:
    """Print the port, or an error message (exit code 2)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--nnodes', type=int, default=1, help='number of machines')
    parser.add_argument('--port', type=int, help='the requested port')
    args = parser.parse_args()
    try:
        print(choose_port(args.port, args.nnodes))
    except MMLGDError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
