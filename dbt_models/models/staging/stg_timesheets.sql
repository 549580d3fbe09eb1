select
    id as kimai_id,
    user_id,
    project_id,
    {{ account('user_id', 'project_id', 'activity_id') }} as account,
    duration_seconds,
    -- What Kimai itself wrote into its answer, beside what was read from it.
    coalesce((raw ->> 'duration')::numeric, duration_seconds) as answer_seconds,
    billable as is_billable,
    exported or array_to_string(tags, ',') ~* '(^|,)billed:\d{4}-\d{2}(,|$)' as is_billed,
    row(
        user_id, project_id, activity_id, duration_seconds, raw ->> 'duration', billable, exported, tags
    )::text as row_version
from {{ source('kimai', 'timesheets') }}
where connector = '{{ var("target") }}' and gone_at is null
