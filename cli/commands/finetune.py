"""`timbre finetune`: stages 1 to 3 of some or all voices, and how the training went."""

from timbre.cli.commands.single_stage import record_view, stage_command


@stage_command("finetune", record_view("finetune", "training.json"), "Train again even where there is an adapter.")
def finetune() -> None:
    """Train the adapters of VOICE (default: all voices); on several GPUs where this machine has them.

    Runs the stages before it where it has to. A run that was interrupted goes on from its last checkpoint. Losses and
    curves are in .timbre/reports/VOICE/finetune/.
    """
