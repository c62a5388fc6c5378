"""`timbre extract`: stages 1 and 2 of some or all voices, and what came of them."""

from timbre.cli.commands.single_stage import record_view, stage_command


@stage_command("extract", record_view("extract", "extract.json"), "Make the outputs again even where they exist.")
def extract() -> None:
    """Phones, semantic codes and speaker vectors of VOICE (default: all voices), and its prompt slice.

    Runs `validate` first where it has to. The full record is .timbre/reports/VOICE/extract/extract.json.
    """
