"""From a table or a folder of any layout to the folder that training reads."""
