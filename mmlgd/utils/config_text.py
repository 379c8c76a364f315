"""Parsing of the config text in a checkpoint's ``meta`` as data, not as Python."""

import ast

_MAX_CHARACTERS = 2_000_000


def read_config_text(text: object) -> dict:
    """Parse the settings of a config that was dumped by mmengine.

    A dump is a sequence of ``name = value`` with literals, lists, tuples, dicts,
    ``dict(key=value)`` and ``dict({...})`` as values. Such text is parsed; anything else
    is refused and never executed.

    Args:
        text (object): Value of ``meta['cfg']``.

    Returns:
        dict: Setting to plain value.

    Raises:
        ValueError: The text is anything else. The message gives the line.
    """
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        raise ValueError('it is not a string, or too long')
    try:
        settings = {}
        for statement in ast.parse(text).body:
            targets = getattr(statement, 'targets', [])
            if not isinstance(statement, ast.Assign) or len(targets) != 1:
                raise _refusal(statement)
            if not isinstance(targets[0], ast.Name):
                raise _refusal(statement)
            settings[targets[0].id] = _value(statement.value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'it does not parse ({type(error).__name__})') from error
    return settings


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, (bool, int, float, str)):
            return node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = getattr(node.operand, 'value', None)
        if isinstance(operand, (int, float)) and type(operand) is not bool:
            return -operand
    elif isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    elif isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    elif isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip(node.keys, node.values)
        return {_key(key): _value(item) for key, item in pairs if key}
    elif isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
        names = [keyword.arg for keyword in node.keywords]
        if not node.args and None not in names:
            return {each.arg: _value(each.value) for each in node.keywords}
        # mmengine writes keys that are not identifiers in this way.
        if not names and len(node.args) == 1 and isinstance(node.args[0], ast.Dict):
            return _value(node.args[0])
    raise _refusal(node)


def _key(node: ast.expr) -> str | int | float | None:
    if isinstance(node, ast.Constant) and (
        node.value is None or isinstance(node.value, (str, int, float))
    ):
        return node.value
    raise _refusal(node)


def _refusal(node: ast.expr | ast.stmt) -> ValueError:
    kind = type(node).__name__
    return ValueError(f'line {node.lineno} has code ({kind}), which is not executed')
