"""The words of the demonstration's papers: a fictive city, its service centre, its people. No name here is a real one's."""

from __future__ import annotations

SUPERIOR = "ỦY BAN NHÂN DÂN THÀNH PHỐ HƯƠNG GIANG"
AGENCY = "TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG"
AGENCY_NAME = "Trung tâm Phục vụ hành chính công thành phố Hương Giang"
CITY = "Hương Giang"
OFFICER = "Nguyễn Thị Minh Hạnh"
POSITION = "Giám đốc"
NOTICE = "Văn bản minh họa, không có giá trị pháp lý"

STATE = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
MOTTO = "Độc lập - Tự do - Hạnh phúc"

LETTER_NOTATION = "TTPVHCC-HCTH"
LETTER_SUBJECT = "đề nghị phối hợp kết nối dữ liệu kết quả giải quyết thủ tục hành chính"
LETTER_RECIPIENT = "Cục Dịch vụ công và Chuyển đổi số Vùng sông Hương"
LETTER_BODY = (
    (
        "Thực hiện kế hoạch chuyển đổi số của Ủy ban nhân dân thành phố Hương Giang, Trung tâm Phục vụ hành chính công thành phố "
        "(sau đây gọi tắt là Trung tâm) đã ký số và phát hành bản điện tử đối với toàn bộ kết quả giải quyết thủ tục hành chính "
        "thuộc thẩm quyền. Người dân tra cứu, kiểm tra được từng văn bản bằng mã in trên văn bản mà không cần tài khoản."
    ),
    "Để người dân và doanh nghiệp chỉ phải nộp giấy tờ một lần, Trung tâm đề nghị Quý Cục xem xét, hỗ trợ một số nội dung sau:",
    (
        "1. Cho phép kết nối kho kết quả giải quyết thủ tục hành chính của thành phố với kho dữ liệu dùng chung do Quý Cục quản lý; "
        "phạm vi dữ liệu, phương thức và lộ trình kết nối do hai bên thống nhất."
    ),
    (
        "2. Hướng dẫn quy cách thông điệp dữ liệu có chữ ký số khi trao đổi giữa hai hệ thống, gồm cách kiểm tra chữ ký số, dấu thời "
        "gian và trạng thái của chứng thư chữ ký số tại thời điểm ký."
    ),
    "3. Cử cán bộ đầu mối tham gia tổ kỹ thuật để phối hợp xử lý vướng mắc trong quá trình kết nối.",
    "Thông tin liên hệ: bà Trần Lưu Ngọc Diễm, Trưởng phòng Hành chính - Tổng hợp, thư điện tử vanthu@huonggiang.example.",
    "Trung tâm trân trọng cảm ơn sự quan tâm, phối hợp của Quý Cục./.",
)
LETTER_COPIES = ("Như trên;", "UBND thành phố (để b/c);", "Lưu: VT, HCTH.")

DECISION_NOTATION = "QĐ-TTPVHCC"
DECISION_SUBJECT = "Về việc tặng Giấy khen cho cá nhân có thành tích xuất sắc trong giải quyết thủ tục hành chính"
DECISION_AUTHORITY = ("GIÁM ĐỐC TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG", "THÀNH PHỐ HƯƠNG GIANG")
DECISION_GROUNDS = (
    "Căn cứ Luật Thi đua, khen thưởng ngày 15 tháng 6 năm 2022;",
    (
        "Căn cứ Quyết định của Ủy ban nhân dân thành phố Hương Giang quy định chức năng, nhiệm vụ, quyền hạn và cơ cấu tổ chức của "
        "Trung tâm Phục vụ hành chính công thành phố Hương Giang;"
    ),
    "Căn cứ kết quả họp Hội đồng Thi đua - Khen thưởng của Trung tâm;",
    "Theo đề nghị của Trưởng phòng Hành chính - Tổng hợp.",
)
DECISION_ARTICLES = (
    (
        "Điều 1.",
        (
            "Tặng Giấy khen của Giám đốc Trung tâm Phục vụ hành chính công thành phố Hương Giang cho {count} cá nhân đã có thành "
            "tích xuất sắc trong tiếp nhận và giải quyết thủ tục hành chính (có danh sách kèm theo)."
        ),
    ),
    (
        "Điều 2.",
        "Mức tiền thưởng kèm theo Giấy khen thực hiện theo quy định hiện hành, trích từ quỹ khen thưởng của Trung tâm.",
    ),
    (
        "Điều 3.",
        (
            "Quyết định này có hiệu lực kể từ ngày ký. Trưởng phòng Hành chính - Tổng hợp, Trưởng phòng Kế hoạch - Tài chính, thủ "
            "trưởng các đơn vị liên quan và các cá nhân có tên tại Điều 1 chịu trách nhiệm thi hành Quyết định này./."
        ),
    ),
)
DECISION_COPIES = ("Như Điều 3;", "UBND thành phố (để b/c);", "Trang thông tin điện tử;", "Lưu: VT, HCTH.")

LIST_TITLE = "DANH SÁCH"
LIST_SUBTITLE = "Cá nhân được tặng Giấy khen có thành tích xuất sắc trong giải quyết thủ tục hành chính"
LIST_NOTE = "(Kèm theo Quyết định của Giám đốc Trung tâm Phục vụ hành chính công<br/>thành phố Hương Giang)"
LIST_HEADINGS = ("TT", "Họ và tên", "Đơn vị", "Thành tích")
LIST_PEOPLE = (
    ("Nguyễn Đình Khải", "Quầy Đất đai", "Đề xuất rút ngắn hai bước trong quy trình cấp đổi giấy chứng nhận"),
    ("Trần Thị Mỹ Duyên", "Quầy Hộ tịch", "Tỷ lệ hồ sơ đúng hạn đạt một trăm phần trăm trong cả năm"),
    ("Lê Ngọc Quỳnh Như", "Quầy Lao động", "Hướng dẫn tận tình người khuyết tật nộp hồ sơ trực tuyến"),
    ("Phạm Hữu Nghĩa", "Quầy Xây dựng", "Xử lý dứt điểm các hồ sơ tồn đọng kéo dài từ những năm trước"),
    ("Hoàng Thị Bích Thủy", "Quầy Y tế", "Tiếp nhận hồ sơ lưu động tại các xã vùng lũ"),
    ("Huỳnh Tấn Phước", "Tổ Công nghệ", "Xây dựng công cụ kiểm tra dữ liệu trước khi trả kết quả"),
    ("Võ Thị Kim Oanh", "Quầy Tư pháp", "Phát hiện, kiến nghị sửa ba quy định chồng chéo"),
    ("Đặng Quốc Cường", "Quầy Giao thông", "Giảm thời gian chờ trung bình còn dưới mười phút"),
    ("Bùi Thị Ánh Tuyết", "Quầy Văn hóa", "Phục vụ chu đáo du khách và nghệ nhân trong mùa lễ hội"),
    ("Đỗ Hải Đăng", "Quầy Đầu tư", "Hỗ trợ doanh nghiệp nhỏ hoàn thiện hồ sơ ngay tại quầy"),
    ("Hồ Thị Cẩm Lệ", "Quầy Hộ tịch", "Bảo quản, số hóa đầy đủ sổ hộ tịch đã cũ mốc"),
    ("Ngô Gia Bảo", "Tổ Công nghệ", "Thiết kế mẫu phiếu hẹn dễ đọc cho người cao tuổi"),
    ("Dương Thùy Trâm", "Quầy Thuế", "Giải đáp rõ ràng, lễ độ mọi thắc mắc của người nộp thuế"),
    ("Lý Chánh Tín", "Quầy Công thương", "Kiểm soát chặt chẽ, không để thất lạc hồ sơ gốc"),
    ("Mai Thị Phượng Vỹ", "Quầy Giáo dục", "Chuẩn hóa biểu mẫu, bỏ hẳn những mục kê khai trùng lặp"),
    ("Tạ Đình Đẩu", "Quầy Nông nghiệp", "Cấp mã số vùng trồng chè vượt chỉ tiêu hai mươi phần trăm"),
    ("Trương Mẫn Nhi", "Quầy Du lịch", "Phiên dịch, hướng dẫn khách nước ngoài bằng ba thứ tiếng"),
    ("Vũ Thế Vỵ", "Quầy Môi trường", "Theo dõi sát sao việc trả lời kiến nghị của cử tri"),
    ("Phan Thị Hiền Lương", "Quầy Bảo hiểm", "Vận động hai nghìn hộ tham gia bảo hiểm tự nguyện"),
    ("Cao Xuân Trường", "Tổ Bảo vệ", "Trả lại tài sản để quên, giữ gìn trật tự nơi đông người"),
    ("Đinh Thị Hằng Nga", "Quầy Hộ tịch", "Cải tiến cách xếp sổ, tìm thấy bản gốc chỉ trong vài phút"),
    ("Nguyễn Vĩnh Ẩn", "Quầy Đất đai", "Đối chiếu bản đồ, gỡ vướng cho nhiều thửa đất xen kẽ"),
    ("Lâm Thị Mộng Cầm", "Quầy Lao động", "Kết nối việc làm cho phụ nữ và thanh niên nông thôn"),
    ("Châu Quang Ẩm", "Quầy Xây dựng", "Thẩm định nhanh, không phát sinh khiếu nại"),
    ("Tôn Nữ Diễm Ái", "Quầy Văn hóa", "Biên soạn sổ tay thủ tục bằng lời lẽ giản dị, dễ nhớ"),
    ("Lương Bỉnh Kỷ", "Tổ Hỗ trợ", "Đưa đón, giúp đỡ người già yếu và trẻ mồ côi"),
    ("Khổng Tú Quỹ", "Quầy Thuế", "Rà soát mã số thuế, sửa chữa sai sót cũ kỹ"),
    ("Đoàn Thị Hỷ", "Quầy Y tế", "Sẵn sàng trực suốt kỳ nghỉ lễ, chưa một lần trễ hẹn"),
    ("Thái Thị Mỵ Châu", "Quầy Hộ tịch", "Ghi chép cẩn thận, nét chữ ngay ngắn, sổ sách sạch đẹp"),
    ("Quách Ngọc Ngoan", "Quầy Giao thông", "Đổi giấy phép lái xe tận nhà cho thương binh nặng"),
    ("Ông Thị Xuân Ổn", "Quầy Nông nghiệp", "Hướng dẫn kê khai đàn vật nuôi, hỗ trợ tiêm phòng"),
    ("Từ Văn Ửng", "Tổ Hỗ trợ", "Gõ cửa từng nhà, hướng dẫn cài đặt chữ ký số cá nhân"),
    ("Âu Dương Thị Yến", "Quầy Du lịch", "Dựng quầy thông tin di động ở bến xe, bờ sông"),
    ("Nghiêm Xuân Ưởng", "Quầy Môi trường", "Cấp phép nhanh nhưng vẫn giữ vững tiêu chuẩn nước thải"),
    ("Tăng Thị Ngẫu", "Quầy Bảo hiểm", "Tận tụy, niềm nở, được người dân gửi nhiều thư cảm ơn"),
    ("Phùng Khắc Khoản", "Quầy Tư pháp", "Cần mẫn dò lại toàn bộ dữ liệu lý lịch tư pháp"),
)
LIST_TOTAL = "Danh sách này có {count} cá nhân./."

CERTIFICATE_NOTATION = "GCN-TTPVHCC"
CERTIFICATE_TITLE = "GIẤY CHỨNG NHẬN"
CERTIFICATE_PERSON = "Bà LÊ THẢO NGUYÊN"
CERTIFICATE_UNIT = "Công chức Bộ phận Một cửa, Ủy ban nhân dân phường Cồn Hoa"
CERTIFICATE_BODY = (
    "đã hoàn thành chương trình bồi dưỡng “Ký số và kiểm tra văn bản điện tử”",
    "dành cho công chức làm việc tại bộ phận tiếp nhận và trả kết quả, thời lượng 24 tiết.",
)
CERTIFICATE_GRADE = "Kết quả: Giỏi"
CERTIFICATE_SUBJECT = "Hoàn thành chương trình bồi dưỡng “Ký số và kiểm tra văn bản điện tử”"
