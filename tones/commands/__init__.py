"""`idtone tone`: what sounds there are, what they are made of, and their files."""

from __future__ import annotations

from idtone import console

app = console.group("Make and look at the sounds.")
console.add_commands(
    app,
    {
        "list": (
            "idtone.tones.commands.profiles:list_profiles",
            "List the tone profiles: the shipped ones and those of sounds.profiles.",
        ),
        "show": (
            "idtone.tones.commands.profiles:show",
            "Show what a sound is made of, and Asterisk's tone string and FreeSWITCH's TGML for it.",
        ),
        "lint": (
            "idtone.tones.commands.profiles:lint_profile",
            "Warn of what may be unwise about a sound; exit 1 where there is a warning.",
        ),
        "generate": (
            "idtone.tones.commands.making:generate",
            "Write the sound files of a profile. The output is for sha256sum -c.",
        ),
        "verify": (
            "idtone.tones.commands.verifying:verify",
            "Say whether a profile's sound is in a recording: conforms, present, absent or cannot-tell.",
        ),
        "inspect": (
            "idtone.tones.commands.looking:inspect_recording",
            "Measure a recording: its levels and faults, and every burst of tone in it.",
        ),
        "plot": (
            "idtone.tones.commands.looking:plot_target",
            "Draw waveform and spectrogram with the plan over it: the profile's, or the bursts that were found.",
        ),
        "play": (
            "idtone.tones.commands.looking:play_target",
            "Play a recording or a profile on this machine's sound device; the legs of a recording one after the "
            "other.",
        ),
    },
)
