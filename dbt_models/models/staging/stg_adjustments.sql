with adjustments as (
    select
        made.*,
        -- What is positive is carried by an entry of its own; the target takes no negative time.
        case when made.state = 'booked' then 'a' || made.id end as carried_by,
        {{ account(
            'made.user_id',
            'coalesce(made.project_id::text, numbers.project_id::text, made.project_number)',
            'made.activity_id',
        ) }} as decided_account
    from {{ source('sync', 'adjustments') }} as made
    left join {{ ref('stg_project_numbers') }} as numbers on made.project_number = numbers.project_number
    where made.connector = '{{ var("source") }}'
),

placed as (
    -- The entry that carries an adjustment follows the mappings, as every entry does; a credit stays where it is.
    select
        adjustments.*,
        coalesce(lines.account, adjustments.decided_account) as account
    from adjustments
    left join {{ ref('stg_plan_lines') }} as lines
        on adjustments.carried_by = lines.line_key and adjustments.entry_date = lines.entry_date
)

select
    source_id,
    original_day,
    entry_date,
    -- Whole seconds are meant, of which the stored minutes cut off what does not fit into four places.
    {{ minutes('round(minutes * 60)') }} as minutes,
    carried_by,
    account,
    row(source_id, original_day, entry_date, minutes, state, account)::text as row_version
from placed
