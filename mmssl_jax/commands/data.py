"""`mmssl data`: what makes and examines data folders."""

from mmssl_jax.commands import LazyGroup

COMMAND = LazyGroup(
    {
        "import": ("data_import", "Make a data folder of other layouts, or of tables of pairs."),
        "check": ("data_check", "Say what is wrong or suspicious in a data folder."),
    },
    name="data",
    help="Make and examine data folders.",
)
