"""`idtone registry`: reading a registry, and the association's desk and keys."""

from __future__ import annotations

from idtone import console

app = console.group("The registry (YAML): licences for sounds and numbers, and suspended numbers.")
console.add_commands(
    app,
    {
        "check": (
            "idtone.registry.commands.consulting:check",
            "Find all faults of a registry, a suspensions.yaml or an application, each with its place and remedy.",
        ),
        "show": (
            "idtone.registry.commands.consulting:show",
            "Show a registry: its members, the state of their licences, and the suspensions (last four digits only).",
        ),
        "find": (
            "idtone.registry.commands.consulting:find",
            "Find members by a part of their name or id, or the holder and the suspension of a number.",
        ),
        "decide": (
            "idtone.registry.commands.consulting:decide",
            "Show the decision for a call, and its reason. Nothing is dialled or recorded.",
        ),
        "update": (
            "idtone.registry.commands.consulting:update",
            "Fetch what the association has published, as the service does, and report the registry on this machine.",
        ),
    },
)
console.add_commands(
    app,
    {
        "apply": (
            "idtone.registry.desk.commands:apply",
            "Take in a member's application: read, held against the registry, and kept as it is.",
        ),
        "review": (
            "idtone.registry.desk.commands:review",
            "Enter the examination of an application: who examined, and the result.",
        ),
        "applications": ("idtone.registry.desk.reading:applications", "Show which applications wait, and for what."),
        "grant": (
            "idtone.registry.desk.commands:grant",
            "Grant what an application asks for: the member, the licences, the numbers.",
        ),
        "renew": ("idtone.registry.desk.commands:renew", "Let a licence count for longer."),
        "suspend-licence": (
            "idtone.registry.desk.commands:suspend_licence",
            "Suspend a licence for a while: calls of its member are announced no more.",
        ),
        "resume-licence": (
            "idtone.registry.desk.commands:resume_licence",
            "Let a suspended licence count again.",
        ),
        "revoke": (
            "idtone.registry.desk.commands:revoke",
            "Revoke a licence for good. Another one has to be applied for.",
        ),
        "assign-number": (
            "idtone.registry.desk.commands:assign_number",
            "Give a member more numbers. They are asked for, or read from a file: a command line is seen by others.",
        ),
        "release-number": (
            "idtone.registry.desk.commands:release_number",
            "Take numbers back from a member, also from within a range, whose rest stays.",
        ),
        "prolong": (
            "idtone.registry.desk.commands:prolong",
            "Let the registry itself count for longer (`expires`); licences keep their own terms.",
        ),
        "suspend-number": (
            "idtone.registry.desk.commands:suspend_number",
            "Stop a number that the police want stopped (番号停止). It takes two people, each of whom enters the "
            "number.",
        ),
        "lift": (
            "idtone.registry.desk.commands:lift",
            "Let a number be forwarded again. It takes two people, each of whom enters the number.",
        ),
        "note": (
            "idtone.registry.desk.commands:note",
            "Enter into the history what was changed by hand in the two files.",
        ),
        "diff": ("idtone.registry.desk.reading:diff", "Tell in words what differs. Exit 1: something does."),
        "history": (
            "idtone.registry.desk.reading:history",
            "Show who changed what, when and why, and by which keys each of it was signed.",
        ),
        "operators": (
            "idtone.registry.desk.reading:operators",
            "Verify the public list of licensed operators, and show it.",
        ),
    },
    panel="The association's desk",
)
console.add_commands(
    app,
    {
        "new": (
            "idtone.registry.desk.beginning:new",
            "Write a registry.yaml and a suspensions.yaml to begin with: nobody is licensed, and nothing is stopped.",
        ),
        "init": (
            "idtone.registry.desk.publishing:init",
            "Begin a repository: registry.yaml and suspensions.yaml of the folder, and whose keys sign them.",
        ),
        "key": (
            "idtone.registry.desk.publishing:key",
            "Make a key of your own, and the public half of it that the others need. Of a token: write the public "
            "half.",
        ),
        "publish": (
            "idtone.registry.desk.publishing:publish",
            "Sign what has changed in registry.yaml and suspensions.yaml, and say that it is the latest.",
        ),
        "prepare": (
            "idtone.registry.desk.publishing:prepare",
            "Write what is to be published as a folder that goes from holder to holder, or in copies to each.",
        ),
        "sign": (
            "idtone.registry.desk.publishing:sign",
            "Show in words what a package changes, and sign it with your key.",
        ),
        "assemble": (
            "idtone.registry.desk.publishing:assemble",
            "Bring the signatures of copies of one package together in it. Exit 1: some are still missing.",
        ),
        "rotate": (
            "idtone.registry.desk.publishing:rotate",
            "Replace a set of keys, since one was lost or stolen: every key of it, by those that --new names.",
        ),
    },
    panel="The association's keys",
)
