CREATE TABLE "experiments" (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), 
	creation_time BIGINT, 
	last_update_time BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','/tmp/bring_rec/out2/mlflow-database/mlruns/0','active',1796080326306,1796080326306,'default');
INSERT INTO "experiments" VALUES(1,'vision/resnet','/tmp/bring_rec/out2/mlflow-database/mlruns/1','active',1796080326312,1796080326312,'default');
CREATE TABLE "metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	step BIGINT DEFAULT '0' NOT NULL, 
	is_nan BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('train/loss',1.0,1600000000000,'92322c2b0220423c8dd407f2ac62d664',0,0);
INSERT INTO "metrics" VALUES('odd',1.0,1600000000000,'92322c2b0220423c8dd407f2ac62d664',0,0);
INSERT INTO "metrics" VALUES('train/loss',0.5,1600000001000,'92322c2b0220423c8dd407f2ac62d664',1,0);
INSERT INTO "metrics" VALUES('odd',0.0,1600000001000,'92322c2b0220423c8dd407f2ac62d664',1,1);
INSERT INTO "metrics" VALUES('train/loss',3.33333333333333314829e-01,1600000002000,'92322c2b0220423c8dd407f2ac62d664',2,0);
INSERT INTO "metrics" VALUES('odd',1.79769313486231562234e+308,1600000002000,'92322c2b0220423c8dd407f2ac62d664',2,0);
INSERT INTO "metrics" VALUES('train/loss',0.25,1600000003000,'92322c2b0220423c8dd407f2ac62d664',3,0);
INSERT INTO "metrics" VALUES('odd',-1.79769313486231562234e+308,1600000003000,'92322c2b0220423c8dd407f2ac62d664',3,0);
INSERT INTO "metrics" VALUES('train/loss',0.2,1600000004000,'92322c2b0220423c8dd407f2ac62d664',4,0);
INSERT INTO "metrics" VALUES('odd',2.5,1600000004000,'92322c2b0220423c8dd407f2ac62d664',4,0);
INSERT INTO "metrics" VALUES('acc',0.5,1796080326603,'f87d848dce8643368f9817f6872a1142',0,0);
INSERT INTO "metrics" VALUES('acc',0.25,1796080326635,'1c6dc84e5692482a8ca6f05960e60828',0,0);
CREATE TABLE "params" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000) NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('lr','0.1','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "params" VALUES('optimizer','adam','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "params" VALUES('layers','3','92322c2b0220423c8dd407f2ac62d664');
CREATE TABLE "runs" (
	run_uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(250), 
	source_type VARCHAR(20), 
	source_name VARCHAR(500), 
	entry_point_name VARCHAR(50), 
	user_id VARCHAR(256), 
	status VARCHAR(9), 
	start_time BIGINT, 
	end_time BIGINT, 
	source_version VARCHAR(50), 
	lifecycle_stage VARCHAR(20), 
	artifact_uri VARCHAR(200), 
	experiment_id INTEGER, deleted_time BIGINT, 
	CONSTRAINT run_pk PRIMARY KEY (run_uuid), 
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')), 
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('92322c2b0220423c8dd407f2ac62d664','first: a name that is long enough to be wrapped by whoever writes YAML into eighty columns of text','UNKNOWN','','','root','FINISHED',1796080326494,1796080326583,'','active','/tmp/bring_rec/out2/mlflow-database/mlruns/1/92322c2b0220423c8dd407f2ac62d664/artifacts',1,NULL);
INSERT INTO "runs" VALUES('f87d848dce8643368f9817f6872a1142','second','UNKNOWN','','','root','FINISHED',1796080326593,1796080326663,'','active','/tmp/bring_rec/out2/mlflow-database/mlruns/1/f87d848dce8643368f9817f6872a1142/artifacts',1,NULL);
INSERT INTO "runs" VALUES('1c6dc84e5692482a8ca6f05960e60828','child','UNKNOWN','','','root','FINISHED',1796080326611,1796080326651,'','active','/tmp/bring_rec/out2/mlflow-database/mlruns/1/1c6dc84e5692482a8ca6f05960e60828/artifacts',1,NULL);
CREATE TABLE "tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.source.name','/work/wt/bring/tests/transfer/record.py','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','5066eab06b09bb5ff5ae94a9cf11c7fde8edbc7c','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','bring','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.runName','first: a name that is long enough to be wrapped by whoever writes YAML into eighty columns of text','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('team','blue','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.note.content','a note','92322c2b0220423c8dd407f2ac62d664');
INSERT INTO "tags" VALUES('mlflow.user','root','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.source.name','/work/wt/bring/tests/transfer/record.py','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','5066eab06b09bb5ff5ae94a9cf11c7fde8edbc7c','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','bring','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.runName','second','f87d848dce8643368f9817f6872a1142');
INSERT INTO "tags" VALUES('mlflow.user','root','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.source.name','/work/wt/bring/tests/transfer/record.py','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','5066eab06b09bb5ff5ae94a9cf11c7fde8edbc7c','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','bring','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.parentRunId','f87d848dce8643368f9817f6872a1142','1c6dc84e5692482a8ca6f05960e60828');
INSERT INTO "tags" VALUES('mlflow.runName','child','1c6dc84e5692482a8ca6f05960e60828');
