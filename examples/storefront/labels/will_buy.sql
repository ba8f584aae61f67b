-- What came true of each prediction whose seven days are over: did the customer buy?
-- `penstock monitor will_buy` and the console's monitor read this.
SELECT asked.requestId,
       EXISTS (
         SELECT 1 FROM current.Purchases AS bought
         WHERE bought.customer_id = asked.entity AND bought.purchased_at > asked."timestamp"
           AND CAST(bought.purchased_at AS TIMESTAMP) <= CAST(asked."timestamp" AS TIMESTAMP) + INTERVAL 7 DAY
       ) AS label
FROM current.InferenceMetadata AS asked
WHERE asked.predictor = 'will_buy' AND asked.entity IS NOT NULL
  AND CAST(asked."timestamp" AS TIMESTAMP) + INTERVAL 7 DAY < now() AT TIME ZONE 'UTC'
