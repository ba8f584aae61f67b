"""A shop that predicts who will buy in the next seven days. This page is the whole application."""

import live
import penstock
from penstock import count, distinct, keys_only, mean, share, since_last, total

app = penstock.App("storefront")

purchases = app.table(
    "Purchases",
    partition_key="customer_id",
    sort_key="purchase_id",
    local_indexes={"by_time": "purchased_at"},
    global_indexes={"by_category": ("category", "customer_id", keys_only())},
    stream=True,
)

buyer = app.features(
    "buyer",
    source=purchases,
    entity="customer_id",
    time="purchased_at",
    features={
        "total_purchase_volume_30d": total("amount", days=30),
        "purchases_7d": count(days=7),
        "purchases_30d": count(days=30),
        "categories_30d": distinct("category", days=30),
        "mean_amount_30d": mean("amount", days=30, default=0),
        "jewelry_share_90d": share("amount", where={"category": "jewelry"}, days=90),
        "days_since_last": since_last(default=365),
    },
)

will_buy = app.predictor("will_buy", features=buyer, model="will_buy@champion", campaign_by="by_category")

app.lake(purchases)

live.run(app)  # A synthetic shop: history, then live purchases. Yours has real customers.
