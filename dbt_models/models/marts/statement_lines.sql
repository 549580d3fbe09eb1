{{ config(indexes=[{'columns': ['month', 'customer']}]) }}

select
    entries.booking_month as month,
    entries.customer_id,
    entries.customer,
    entries.organization_id,
    entries.agent_name as agent,
    entries.agent_address as agent_email,
    entries.activity,
    {{ balance_sums('entries') }}
from {{ ref('int_entries_named') }} as entries
group by
    entries.booking_month,
    entries.customer_id,
    entries.customer,
    entries.organization_id,
    entries.agent_name,
    entries.agent_address,
    entries.activity
