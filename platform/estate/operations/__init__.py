"""What watches the estate: alarms, audit, cost."""
