"""The commands `idtone-office document`, for signed documents to the association's desk."""

from idtone.core.terminal import command_line

app = command_line.group("Signed documents for the association's desk (協会窓口).")
command_line.add_commands(
    app,
    {
        "key": (
            "idtone.registry.correspondence.commands.documents:key",
            "Print the key with which this node signs documents, for the registry (`members[].keys`).",
        ),
        "send": (
            "idtone.registry.correspondence.commands.documents:send",
            "Send a signed document from a file, for example because the desk could not be reached earlier.",
        ),
    },
)
