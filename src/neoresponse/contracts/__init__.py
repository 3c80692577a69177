"""Every file that one part writes and another reads, as one record each."""
