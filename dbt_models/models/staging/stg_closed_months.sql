select distinct month as closed_month
from {{ source('sync', 'periods') }}
where reopened_at is null
