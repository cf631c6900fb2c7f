"""A captured program in other words: for runtimes that lack an operation, or are slow at one. Its outputs are equal."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

Replacements = Mapping[Any, Callable[..., Any]]  # operation of torch.ops.aten -> function of the same arguments


def rewritten(program: torch.export.ExportedProgram, replacements: Replacements) -> nn.Module:
    """A module that computes the same as the program, to be captured again.

    A replacement is written in torch and sees no values: what it takes from its tensors by `shape` it may calculate
    with, and not branch on. What depends on weights alone is calculated here, once.
    """
    module = _Replacing(program.module(check_guards=False), replacements).transform()
    return _Folded(module).eval()


class _Replacing(fx.Transformer):
    def __init__(self, module: fx.GraphModule, replacements: Replacements) -> None:
        super().__init__(module)
        self.replacements = replacements

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in self.replacements:
            return self.replacements[target](*args, **kwargs)
        return super().call_function(target, args, kwargs)


class _Folded(nn.Module):
    """A graph whose constant parts are buffers."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__()
        self.module = module
        self.names: dict[fx.Node, str] = {}
        values = _constants(module)
        for node, value in values.items():
            computed = node.op != "get_attr" and isinstance(value, Tensor)
            if computed and any(user not in values for user in node.users):
                self.names[node] = f"constant_{len(self.names)}"
                # a copy: converters take two views of one tensor's memory for the same constant
                self.register_buffer(self.names[node], value.clone(memory_format=torch.contiguous_format))

    def forward(self, *inputs: Tensor) -> Any:
        known = {node: getattr(self, name) for node, name in self.names.items()}
        return fx.Interpreter(self.module).run(*inputs, initial_env=known)


def _constants(module: fx.GraphModule) -> dict[fx.Node, Any]:
    """The values of all nodes that depend on no input."""
    calculator = fx.Interpreter(module)
    values: dict[fx.Node, Any] = {}
    for node in module.graph.nodes:
        known = all(argument in values for argument in node.all_input_nodes)
        if node.op not in ("placeholder", "output") and known:
            calculator.env = values
            with torch.no_grad():
                values[node] = calculator.run_node(node)
    return values
