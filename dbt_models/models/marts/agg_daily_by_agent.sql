select
    entries.entry_date,
    entries.agent_name as agent,
    entries.agent_address as agent_email,
    {{ balance_sums('entries') }}
from {{ ref('int_entries_named') }} as entries
group by entries.entry_date, entries.agent_name, entries.agent_address
