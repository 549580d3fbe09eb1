select
    entries.booking_month as month,
    entries.customer_id,
    entries.customer,
    {{ balance_sums('entries') }}
from {{ ref('int_entries_named') }} as entries
group by entries.booking_month, entries.customer_id, entries.customer
