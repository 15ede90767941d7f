"""Users' pictures: one's own changed or removed, and everybody's served."""
