-- Transform functions: payloads that SQL makes.

-- name: TransformCall   rows: one for each payload, in order: what the function gave, and why it gave nothing
-- params: $1 function text, $2 payloads text[], $3 contexts text[]
-- index: webhook_transforms_pkey
SELECT t.result::text, t.fault
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (data, context, place),
     LATERAL postrider.call_transform($1, u.data::jsonb, u.context::jsonb) AS t
ORDER BY u.place;
