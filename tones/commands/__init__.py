"""`idtone tone`: commands for profiles, sound files and recordings."""

from idtone.core.terminal import command_line

app = command_line.group("Make, show and verify sounds.")
command_line.add_commands(
    app,
    {
        "list": (
            "idtone.tones.commands.profiles:list_profiles",
            "List the tone profiles: the shipped ones and those of sounds.profiles.",
        ),
        "show": (
            "idtone.tones.commands.profiles:show",
            "Show the structure of a sound, and its tone string (Asterisk) and TGML (FreeSWITCH).",
        ),
        "lint": (
            "idtone.tones.commands.profiles:lint_profile",
            "Warn about unsuitable properties of a sound. Exit 1: there is a warning.",
        ),
        "generate": (
            "idtone.tones.commands.generate_sounds:generate",
            "Write the sound files of a profile. Its output is input for sha256sum -c.",
        ),
        "verify": (
            "idtone.tones.commands.verify_recordings:verify",
            "Check whether a recording contains a profile's sound: conforms, present, absent or cannot-tell.",
        ),
        "inspect": (
            "idtone.tones.commands.inspect_sounds:inspect_recording",
            "Measure a recording: its levels, its faults and every burst of tone.",
        ),
        "plot": (
            "idtone.tones.commands.inspect_sounds:plot_target",
            "Draw waveform and spectrogram with a plan over them: the profile's plan, or the measured bursts.",
        ),
        "play": (
            "idtone.tones.commands.inspect_sounds:play_target",
            "Play a recording (one leg after the other) or a profile on this machine's sound device.",
        ),
    },
)
